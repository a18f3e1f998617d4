// What a person should know just now: something was refused, or was done. It goes away by itself, a longer text later.

const leastTime = 4_000;
const timeForLetter = 60;

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
    const same = [...this.#element.children].find(({ textContent }) => textContent === words);
    same?.remove();
    const toast = document.createElement("p");
    toast.className = `toast ${tone}`;
    toast.textContent = words;
    this.#element.append(toast);
    while (this.#element.children.length > 3) this.#element.firstChild.remove();
    setTimeout(() => toast.remove(), leastTime + timeForLetter * Math.min(200, words.length));
  }

  /** For those who don't see it. @param {string} words */
  announce(words) {
    this.#announcer.textContent = words;
  }
}
