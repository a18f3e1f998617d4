// The keys of the board, and the list of them that a person can ask for.

/**
 * @typedef {object} Shortcut
 * @property {string} group
 * @property {string} label
 * @property {string[]} keys as they are shown
 * @property {(event: KeyboardEvent) => boolean} fits
 * @property {(event: KeyboardEvent) => unknown} run answers false where it does nothing here
 */

const isMac = /Mac|iPhone|iPad/.test(globalThis.navigator?.platform ?? "");

/** With Control, or Command where people have that. */
export const command = isMac ? "⌘" : "Ctrl";

export function isCommand(event) {
  return isMac ? event.metaKey : event.ctrlKey;
}

/** A key alone, in either case. */
export function key(...names) {
  return (event) => !event.ctrlKey && !event.metaKey && !event.altKey && names.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key);
}

/** A key with Control or Command. */
export function commandKey(name, { shift = false } = {}) {
  return (event) => isCommand(event) && !event.altKey && event.shiftKey === shift && event.key.toLowerCase() === name;
}

/** Whether what is pressed is meant for a field, and not for the board. @param {EventTarget | null} target */
export function isForField(target) {
  return target instanceof HTMLElement && target.closest("input, textarea, select, dialog[open], [popover]:popover-open, .words, .deeds, .kept-text") !== null;
}

/** Hears keys everywhere but in fields. @param {Shortcut[]} shortcuts */
export function listen(shortcuts) {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || isForField(event.target)) return;
    // Enter and Space press a button that has the focus.
    if ((event.key === "Enter" || event.key === " ") && event.target.closest?.("button, a")) return;
    const shortcut = shortcuts.find(({ fits }) => fits(event));
    if (shortcut && shortcut.run(event) !== false) event.preventDefault();
  });
}

/** Draws the list. @param {HTMLElement} parent @param {Shortcut[]} shortcuts */
export function drawList(parent, shortcuts) {
  const groups = new Map();
  for (const shortcut of shortcuts) if (shortcut.label) groups.set(shortcut.group, [...(groups.get(shortcut.group) ?? []), shortcut]);
  parent.replaceChildren(
    ...[...groups].map(([name, members]) => {
      const section = document.createElement("section");
      const title = document.createElement("h3");
      title.textContent = name;
      const list = document.createElement("dl");
      for (const { label, keys } of members) {
        const line = document.createElement("div");
        const term = document.createElement("dt");
        term.textContent = label;
        const description = document.createElement("dd");
        keys.forEach((each, i) => {
          if (i > 0) description.append(" ");
          const element = document.createElement("kbd");
          element.textContent = each;
          description.append(element);
        });
        line.append(term, description);
        list.append(line);
      }
      section.append(title, list);
      return section;
    }),
  );
}
