// What a page does with what it hears of its board, whichever way that comes: an editor's connection, or a viewer's stream.

import { readBoard } from "./board.mjs";

/**
 * @param {object} parts
 * @param {HTMLElement} parts.root
 * @param {import("./shown.mjs").Shown} parts.shown
 * @param {import("./people.mjs").People} parts.people
 * @param {import("./surface.mjs").Surface} parts.surface
 * @param {import("./view-buttons.mjs").ViewButtons} parts.view
 * @param {import("./cursors.mjs").Cursors} parts.cursors
 * @param {import("./previews.mjs").Previews} parts.previews
 * @param {import("./chat.mjs").Chat} parts.chat
 * @param {import("./activity.mjs").Activity} parts.activity
 * @param {() => void} [begun] when the first snapshot is there
 */
export function createHearing({ root, shown, people, surface, view, cursors, previews, chat, activity }, begun = () => {}) {
  let hasBoard = false;
  return {
    snapshot(json) {
      shown.reset(readBoard(json));
      for (const { by, name } of [...shown.board.activity, ...shown.board.chat]) people.learn(by, name);
      if (!hasBoard) {
        hasBoard = true;
        root.classList.add("is-loaded");
        // Its elements are there after the next drawing.
        requestAnimationFrame(() => requestAnimationFrame(() => view.fit()));
        begun();
      }
      chat.draw();
      activity.draw();
    },
    op(op) {
      people.learn(op.by, op.name);
      shown.apply(op);
      if (op.changes.some((change) => typeof change.chat === "string")) chat.draw();
      activity.draw();
    },
    volatile(event, data) {
      if (event === "cursors") cursors.take(data);
      else if (event === "draw") previews.take(data);
      else chat.takeTyping(data);
    },
    people(members, count) {
      people.take(members, count);
      cursors.forget((id) => people.isHere(id));
      previews.forget((id) => people.isHere(id));
      surface.touchAll();
    },
  };
}
