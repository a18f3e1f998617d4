// Following somebody: the view stays with their cursor, until the user moves it.

export class Follow {
  #camera;
  #surface;
  #cursors;
  #people;
  #changed;
  #say;
  #id;
  #isRunning = false;
  #isStill = matchMedia("(prefers-reduced-motion: reduce)");

  /** @param {any} page @param {(id: string | undefined) => void} changed @param {(words: string) => void} say */
  constructor({ camera, surface, cursors, people }, changed, say) {
    this.#camera = camera;
    this.#surface = surface;
    this.#cursors = cursors;
    this.#people = people;
    this.#changed = changed;
    this.#say = say;
    cursors.on(() => this.#run());
    people.on(() => {
      if (this.#id !== undefined && !people.isHere(this.#id)) this.stop();
    });
  }

  /** @param {string} id */
  toggle(id) {
    if (this.#id === id) return this.stop();
    this.#id = id;
    this.#changed(id);
    const { name } = this.#people.get(id);
    this.#say(this.#cursors.of(id) ? `Following ${name}.` : `Following ${name}, as soon as their cursor moves.`);
    this.#run();
  }

  stop() {
    if (this.#id === undefined) return;
    this.#id = undefined;
    this.#changed(undefined);
  }

  #run() {
    if (this.#isRunning || this.#id === undefined) return;
    this.#isRunning = true;
    requestAnimationFrame(() => this.#step());
  }

  #step() {
    this.#isRunning = false;
    const to = this.#id === undefined ? undefined : this.#cursors.of(this.#id);
    if (!to) return;
    const { width, height } = this.#surface.size;
    const middle = this.#camera.toBoard({ x: width / 2, y: height / 2 });
    const [dx, dy] = [to.x - middle.x, to.y - middle.y];
    // Small movements would only make the board tremble.
    if (Math.abs(dx) * this.#camera.zoom < width / 5 && Math.abs(dy) * this.#camera.zoom < height / 5) return;
    const share = this.#isStill.matches ? 1 : 0.12;
    this.#camera.centre({ x: middle.x + dx * share, y: middle.y + dy * share }, this.#surface.size);
    this.#run();
  }
}
