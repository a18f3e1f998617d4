// The panel at the side: chat and activity, one at a time. On a phone it is a sheet.

export class SidePanel {
  #elements;
  #changed;
  #tab;

  /**
   * @param {{ panel: HTMLElement, toggle?: HTMLElement, close?: HTMLElement, tabs: Record<string, HTMLElement>, bodies: Record<string, HTMLElement> }} elements
   * @param {(open: string | undefined) => void} changed which tab is seen, if any
   * @param {string} [first] which tab is seen first
   */
  constructor(elements, changed, first = "chat") {
    this.#tab = first;
    this.#elements = elements;
    this.#changed = changed;
    elements.toggle?.addEventListener("click", () => this.toggle());
    elements.close?.addEventListener("click", () => this.close());
    for (const [name, tab] of Object.entries(elements.tabs)) {
      tab.addEventListener("click", () => this.show(name));
      tab.addEventListener("keydown", (event) => {
        if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
        event.preventDefault();
        const names = Object.keys(elements.tabs);
        const next = names[(names.indexOf(name) + 1) % names.length];
        this.show(next);
        elements.tabs[next].focus();
      });
    }
    elements.panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close();
    });
  }

  get isOpen() {
    return !this.#elements.panel.hidden;
  }

  /** How much of the window's right side it covers, in pixels. A sheet comes from below, and is gone soon. */
  get covers() {
    const { panel } = this.#elements;
    return this.isOpen && panel.offsetWidth < innerWidth / 2 ? innerWidth - panel.offsetLeft : 0;
  }

  toggle() {
    if (this.isOpen) this.close();
    else this.show(this.#tab);
  }

  /** @param {string} name */
  show(name) {
    const { panel, toggle, tabs, bodies } = this.#elements;
    const wasOpen = this.isOpen;
    this.#tab = name;
    panel.hidden = false;
    document.body.classList.add("has-panel");
    toggle?.setAttribute("aria-expanded", "true");
    for (const [each, tab] of Object.entries(tabs)) {
      tab.setAttribute("aria-selected", each === name);
      tab.tabIndex = each === name ? 0 : -1;
      bodies[each].hidden = each !== name;
    }
    this.#changed(name);
    // On a phone the keyboard would come up and hide what one wants to read.
    if (!wasOpen && matchMedia("(hover: hover)").matches) bodies[name].querySelector("textarea")?.focus({ preventScroll: true });
  }

  close() {
    const { panel, toggle } = this.#elements;
    if (panel.hidden) return;
    const hadFocus = panel.contains(document.activeElement);
    panel.hidden = true;
    document.body.classList.remove("has-panel");
    toggle?.setAttribute("aria-expanded", "false");
    if (hadFocus) toggle?.focus();
    this.#changed(undefined);
  }
}
