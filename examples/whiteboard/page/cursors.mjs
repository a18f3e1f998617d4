// The cursors of the others, with their names. Each node of the server tells all that it has, ten times a second at most; between two such messages
// they glide.

const arrow = "M3 2l6.2 15.5 2.3-6.7 6.7-2.3z";
const svg = "http://www.w3.org/2000/svg";

/** How fast a cursor comes to where it is: after so many milliseconds two thirds of the way are done. */
const glide = 70;

export class Cursors {
  #layer;
  #camera;
  #people;
  #me;
  /** What each node told last. @type {Map<string, Set<string>>} */
  #nodes = new Map();
  /** @type {Map<string, { x: number, y: number, to: { x: number, y: number }, element: HTMLElement, name: HTMLElement }>} */
  #cursors = new Map();
  #isRunning = false;
  #lastFrame = 0;
  #isStill = matchMedia("(prefers-reduced-motion: reduce)");
  #heard = new Set();

  /** @param {HTMLElement} layer @param {import("./camera.mjs").Camera} camera @param {import("./people.mjs").People} people @param {string} [me] */
  constructor(layer, camera, people, me) {
    this.#layer = layer;
    this.#camera = camera;
    this.#people = people;
    this.#me = me;
    camera.on(() => this.#place());
    people.on(() => this.#name());
  }

  /** Where somebody's cursor is. @param {string} user @returns {{ x: number, y: number } | undefined} */
  of(user) {
    return this.#cursors.get(user)?.to;
  }

  /** @param {() => void} listener hears when somebody's cursor moved */
  on(listener) {
    this.#heard.add(listener);
  }

  /** @param {{ node: string, cursors: [string, number, number][] }} message */
  take({ node, cursors }) {
    this.#nodes.set(node, new Set(cursors.map(([user]) => user)));
    for (const [user, x, y] of cursors) if (user !== this.#me) this.#move(user, { x, y });
    const present = new Set([...this.#nodes.values()].flatMap((users) => [...users]));
    for (const user of this.#cursors.keys()) if (!present.has(user)) this.#remove(user);
    this.#run();
    for (const listener of this.#heard) listener();
  }

  /** Who is not here has no cursor. */
  forget(isHere) {
    for (const user of this.#cursors.keys()) if (!isHere(user)) this.#remove(user);
  }

  clear() {
    this.#nodes.clear();
    for (const user of this.#cursors.keys()) this.#remove(user);
  }

  #move(user, to) {
    const cursor = this.#cursors.get(user);
    if (cursor) {
      cursor.to = to;
      return;
    }
    const element = document.createElement("div");
    element.className = "cursor";
    const drawing = document.createElementNS(svg, "svg");
    drawing.setAttribute("viewBox", "0 0 20 20");
    const path = document.createElementNS(svg, "path");
    path.setAttribute("d", arrow);
    drawing.append(path);
    const name = document.createElement("span");
    element.append(drawing, name);
    this.#layer.append(element);
    this.#cursors.set(user, { ...to, to, element, name });
    this.#name();
  }

  #remove(user) {
    this.#cursors.get(user)?.element.remove();
    this.#cursors.delete(user);
  }

  #name() {
    for (const [user, { element, name }] of this.#cursors) {
      const person = this.#people.get(user);
      element.dataset.color = person.color;
      name.textContent = person.name;
    }
  }

  #run() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#lastFrame = performance.now();
    requestAnimationFrame((now) => this.#step(now));
  }

  #step(now) {
    const share = this.#isStill.matches ? 1 : 1 - Math.exp(-Math.max(1, now - this.#lastFrame) / glide);
    this.#lastFrame = now;
    let isMoving = false;
    for (const cursor of this.#cursors.values()) {
      const [dx, dy] = [cursor.to.x - cursor.x, cursor.to.y - cursor.y];
      const isThere = Math.hypot(dx, dy) * this.#camera.zoom < 0.3;
      cursor.x = isThere ? cursor.to.x : cursor.x + dx * share;
      cursor.y = isThere ? cursor.to.y : cursor.y + dy * share;
      isMoving ||= !isThere;
    }
    this.#place();
    this.#isRunning = isMoving;
    if (isMoving) requestAnimationFrame((next) => this.#step(next));
  }

  #place() {
    for (const { x, y, element } of this.#cursors.values()) {
      const point = this.#camera.toScreen({ x, y });
      element.style.translate = `${point.x}px ${point.y}px`;
    }
  }
}
