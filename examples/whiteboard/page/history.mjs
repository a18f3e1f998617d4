// Undo and redo of one's own actions. An action is a list of steps, each of one property of one object; undoing it sets back what still is as the
// action left it. What somebody else has changed since stays as they want it. To others an undo is a change like any other.

/**
 * @typedef {object} Step
 * @property {string} id
 * @property {string} prop
 * @property {unknown} before
 * @property {unknown} after
 */

/** How many actions can be undone. */
const mostActions = 500;

export class History {
  /** @type {Step[][]} */
  #done = [];
  /** @type {Step[][]} */
  #undone = [];
  /** By what the last action may be continued. */
  #series;

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  /**
   * An action was done. Actions of one series in a row are one: an object that was moved with ten presses of a key is moved back with one undo.
   *
   * @param {Step[]} steps
   * @param {string} [series]
   */
  record(steps, series) {
    const changing = steps.filter(({ before, after }) => before !== after);
    if (changing.length === 0) return;
    this.#undone = [];
    const last = series !== undefined && series === this.#series ? this.#done.at(-1) : undefined;
    this.#series = series;
    if (last) return continueAction(last, changing);
    this.#done.push(changing);
    if (this.#done.length > mostActions) this.#done.shift();
  }

  /** What follows is an action of its own. */
  endSeries() {
    this.#series = undefined;
  }

  /** The changes that undo the last action. @param {(id: string) => object | undefined} current the object as it is now */
  undo(current) {
    return this.#move(this.#done, this.#undone, current, ({ id, prop, before, after }) => ({ id, prop, from: after, to: before }));
  }

  /** The changes that do again what was undone last. @param {(id: string) => object | undefined} current */
  redo(current) {
    return this.#move(this.#undone, this.#done, current, ({ id, prop, before, after }) => ({ id, prop, from: before, to: after }));
  }

  /** Actions of which nothing can be taken back are passed over. */
  #move(from, to, current, turned) {
    this.endSeries();
    while (from.length > 0) {
      const steps = from.pop();
      to.push(steps);
      const props = new Map();
      for (const step of steps) {
        const { id, prop, from: expected, to: value } = turned(step);
        const object = current(id);
        if (!object || object[prop] !== expected || object[prop] === value) continue;
        props.set(id, { ...props.get(id), [prop]: value });
      }
      if (props.size > 0) return [...props].map(([id, values]) => ({ set: id, props: values }));
    }
    return [];
  }
}

function continueAction(steps, more) {
  for (const step of more) {
    const same = steps.find(({ id, prop }) => id === step.id && prop === step.prop);
    if (same) same.after = step.after;
    else steps.push(step);
  }
}
