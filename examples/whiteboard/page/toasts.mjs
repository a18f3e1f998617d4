// What a person should know just now: something was refused, or was done. It goes away by itself, a longer text later; but not what a person wrote
// and has nowhere else.

const leastTime = 4_000;
const timeForLetter = 60;
const mostPassing = 3;

export class Toasts {
  #element;
  #announcer;

  /** @param {HTMLElement} element @param {HTMLElement} announcer who only listens hears what is said there */
  constructor(element, announcer) {
    this.#element = element;
    this.#announcer = announcer;
  }

  /** @param {string} words @param {"plain" | "bad"} [tone] */
  show(words, tone = "plain") {
    const passing = () => [...this.#element.querySelectorAll(":scope > :not(.keeps)")];
    passing().find(({ textContent }) => textContent === words)?.remove();
    const toast = document.createElement("p");
    toast.className = `toast ${tone}`;
    toast.textContent = words;
    this.#element.append(toast);
    for (const old of passing().slice(0, -mostPassing)) old.remove();
    setTimeout(() => toast.remove(), leastTime + timeForLetter * Math.min(200, words.length));
  }

  /** Words of the user that are nowhere else: they can be copied, and stay until that is done. @param {string} why @param {string} text */
  keep(why, text) {
    const toast = document.createElement("div");
    toast.className = "toast bad keeps";
    const reason = document.createElement("p");
    reason.textContent = why;
    const words = document.createElement("p");
    words.className = "kept-text";
    words.tabIndex = 0;
    words.textContent = text;
    const row = document.createElement("div");
    row.className = "row";
    row.append(
      button("Copy text", async ({ target }) => {
        try {
          await navigator.clipboard.writeText(text);
          target.textContent = "Copied";
        } catch {
          getSelection().selectAllChildren(words);
          target.textContent = "Selected: copy it with the keyboard";
        }
      }),
      button("Close", () => toast.remove()),
    );
    toast.append(reason, words, row);
    this.#element.append(toast);
  }

  /** For those who don't see it. @param {string} words */
  announce(words) {
    this.#announcer.textContent = words;
  }
}

function button(words, press) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "button";
  element.textContent = words;
  element.addEventListener("click", press);
  return element;
}
