// Undo and redo of one's own actions. An action is a list of steps, each of one property of one object; undoing it sets back what still is as the
// action left it. What somebody else has changed since stays as they want it, and so does an object that was written on since, though it is one's
// own: to take it away would take the words along. To others an undo is a change like any other.

/**
 * @typedef {object} Step
 * @property {string} id
 * @property {string} prop
 * @property {unknown} before
 * @property {unknown} after
 * @property {object} [object] where it is added or deleted: the object as it was then. The board does not keep all that is deleted.
 */

/**
 * What an undo or a redo comes to.
 *
 * @typedef {object} Taken
 * @property {Map<string, object>} props what is set, of which objects
 * @property {Map<string, object>} revived those among them that come back, as they were
 * @property {string[]} spared those that stay although they would have gone
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

  /** Undoes the last action. @param {(id: string) => object | undefined} current the object as it is now @returns {Taken} */
  undo(current) {
    return this.#move(this.#done, this.#undone, current, ({ before, after }) => ({ expected: after, wanted: before }));
  }

  /** Does again what was undone last. @param {(id: string) => object | undefined} current @returns {Taken} */
  redo(current) {
    return this.#move(this.#undone, this.#done, current, ({ before, after }) => ({ expected: before, wanted: after }));
  }

  /** Actions of which nothing can be taken back are passed over. */
  #move(from, to, current, turned) {
    this.endSeries();
    while (from.length > 0) {
      const steps = from.pop();
      to.push(steps);
      const taken = takenOf(steps, current, turned);
      if (taken.props.size + taken.spared.length > 0) return taken;
    }
    return takenOf([]);
  }
}

/** @returns {Taken} */
function takenOf(steps, current, turned) {
  const [props, revived, spared] = [new Map(), new Map(), []];
  for (const step of steps) {
    const { id, prop, object: model } = step;
    const { expected, wanted } = turned(step);
    // What is not there any more was deleted, and forgotten.
    const object = current(id) ?? (model && { ...model, deleted: true });
    if (!object || object[prop] !== expected || object[prop] === wanted) continue;
    if (model && wanted === true && object.text !== model.text) {
      spared.push(id);
      continue;
    }
    if (model && wanted === false) revived.set(id, model);
    props.set(id, { ...props.get(id), [prop]: wanted });
  }
  return { props, revived, spared };
}

function continueAction(steps, more) {
  for (const step of more) {
    const same = steps.find(({ id, prop }) => id === step.id && prop === step.prop);
    if (same) same.after = step.after;
    else steps.push(step);
  }
}
