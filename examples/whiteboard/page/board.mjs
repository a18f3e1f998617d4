// The board: a fold over the channel's `op` messages. Everybody folds the same log in the same order, so everybody has the same board.
//
// The server folds it too, in Rust (`src/`), for its snapshots. The rules here and there are the same to the letter; whoever changes one
// changes the other. Nothing here knows a page, a clock or who is looking.

/**
 * An object of the board. Never changed, but replaced: whoever keeps one can see by identity whether it is still the same.
 *
 * @typedef {object} BoardObject
 * @property {"note" | "stroke" | "rect" | "ellipse"} kind
 * @property {string} by who made it
 * @property {number} x
 * @property {number} y
 * @property {number} [w] not of strokes
 * @property {number} [h] not of strokes
 * @property {number} color
 * @property {number} z
 * @property {string} [text] of notes
 * @property {number[]} [points] of strokes: x and y in turn, relative to the stroke's own
 * @property {number} [width] of strokes
 * @property {boolean} deleted
 * @property {string | null} editing who edits its text
 */

/** @typedef {{ add: string, kind: BoardObject["kind"], props: object } | { set: string, props: object } | { edit: string } | { done: string } | { chat: string } | { forget: string[] }} Change the last is the server's alone */

/** @typedef {{ by: string, name: string, client?: string, n?: number, at: number, changes: Change[] }} Op */

/**
 * @typedef {object} Board
 * @property {Map<string, BoardObject>} objects
 * @property {string[]} deleted the ids of the objects that are deleted, in that order
 * @property {{ by: string, name: string, at: number, text: string }[]} chat
 * @property {{ at: number, by: string, name: string, did: string, kind: string, id: string }[]} activity
 * @property {Map<string, number>} seen the last `n` of each page, as `user/client`, the one heard last at the end
 */

const mostSeen = 500;
const mostSeenOfUser = 20;
const mostChat = 200;
const mostChatBytes = 64 * 1024;
const mostActivity = 100;
const mostDeleted = 500;

/** @returns {Board} */
export function emptyBoard() {
  return { objects: new Map(), deleted: [], chat: [], activity: [], seen: new Map() };
}

/** The board of a snapshot. @returns {Board} */
export function readBoard({ objects = {}, deleted = [], chat = [], activity = [], seen = {} }) {
  return {
    objects: new Map(Object.entries(objects)),
    deleted: [...deleted],
    chat: [...chat],
    activity: [...activity],
    seen: new Map(Object.entries(seen)),
  };
}

/** The board as a snapshot has it. @param {Board} board */
export function writeBoard({ objects, deleted, chat, activity, seen }) {
  return { objects: Object.fromEntries(objects), deleted, chat, activity, seen: Object.fromEntries(seen) };
}

/**
 * Folds a message into the board, and answers which objects it names. A repeat is ignored: nothing, then.
 *
 * @param {Board} board
 * @param {Op} op
 */
export function applyOp(board, op) {
  const ids = new Set();
  if (op.client !== undefined) {
    // A page is its user's: what others say under its name is theirs.
    const page = `${op.by}/${op.client}`;
    if (board.seen.get(page) >= op.n) return ids;
    // To the end of the order, too.
    board.seen.delete(page);
    board.seen.set(page, op.n);
    const ofUser = [...board.seen.keys()].filter((seen) => seen.startsWith(`${op.by}/`));
    if (ofUser.length > mostSeenOfUser) board.seen.delete(ofUser[0]);
    if (board.seen.size > mostSeen) board.seen.delete(board.seen.keys().next().value);
  }
  for (const change of op.changes) {
    if ("chat" in change) {
      say(board.chat, { by: op.by, name: op.name, at: op.at, text: change.chat });
      continue;
    }
    if ("forget" in change) {
      for (const id of change.forget) if (forget(board, id)) ids.add(id);
      continue;
    }
    const id = idOf(change);
    if (id === undefined) continue;
    const before = board.objects.get(id);
    const after = changeObject(before, change, op.by);
    if (after === before) continue;
    board.objects.set(id, after);
    ids.add(id);
    for (const did of deedsBetween(before, after)) note(board.activity, { at: op.at, by: op.by, name: op.name, did, kind: after.kind, id });
    if ((before?.deleted ?? false) !== after.deleted) fileDeleted(board, id, after.deleted);
  }
  return ids;
}

/**
 * What becomes of an object by a change: the very same where the change does not apply.
 *
 * @param {BoardObject | undefined} object
 * @param {Change} change
 * @param {string} by who changes it
 */
export function changeObject(object, change, by) {
  if ("add" in change) {
    return object ?? { ...change.props, kind: change.kind, by, deleted: false, editing: null };
  }
  if (!object) return object;
  const isEditedByOther = object.editing !== null && object.editing !== by;
  if ("set" in change) {
    const { text, ...props } = change.props;
    const changed = { ...object, ...props };
    if (text !== undefined && !isEditedByOther) changed.text = text;
    if (props.deleted === true) changed.editing = null;
    return changed;
  }
  if ("edit" in change) {
    const isFree = object.kind === "note" && !object.deleted && !isEditedByOther;
    return isFree ? { ...object, editing: by } : object;
  }
  if ("done" in change) return object.editing === by ? { ...object, editing: null } : object;
  return object;
}

/** Of which object a change is; of none, where it is a word in the chat, or of several. @param {Change} change @returns {string | undefined} */
export function idOf(change) {
  return change.add ?? change.set ?? change.edit ?? change.done;
}

/** What a person would say was done. */
function deedsBetween(before, after) {
  if (!before) return ["add"];
  const deeds = [];
  if (before.text !== after.text) deeds.push("text");
  if (before.deleted !== after.deleted) deeds.push(after.deleted ? "remove" : "restore");
  return deeds;
}

/** Who goes on doing the same thing has done it once. */
function note(activity, entry) {
  const last = activity.at(-1);
  if (last && last.by === entry.by && last.did === entry.did && last.id === entry.id) activity.pop();
  activity.push(entry);
  keepNewest(activity, mostActivity);
}

/** Deleted objects are kept for those who undo that, but not for ever. */
function fileDeleted(board, id, isDeleted) {
  if (!isDeleted) {
    const place = board.deleted.indexOf(id);
    if (place >= 0) board.deleted.splice(place, 1);
    return;
  }
  board.deleted.push(id);
  if (board.deleted.length > mostDeleted) board.objects.delete(board.deleted.shift());
}

/** What was restored since stays. Answers whether it is forgotten. */
function forget(board, id) {
  if (!board.objects.get(id)?.deleted) return false;
  fileDeleted(board, id, false);
  return board.objects.delete(id);
}

function say(chat, said) {
  chat.push(said);
  keepNewest(chat, mostChat);
  let bytes = chat.reduce((sum, said) => sum + bytesOf(said), 0);
  while (bytes > mostChatBytes) bytes -= bytesOf(chat.shift());
}

/** What was said never changes, and is weighed once. @type {WeakMap<object, number>} */
const weighed = new WeakMap();

/** What something takes in a snapshot's list. */
function bytesOf(said) {
  if (!weighed.has(said)) weighed.set(said, new TextEncoder().encode(JSON.stringify(said)).length + 1);
  return weighed.get(said);
}

function keepNewest(list, most) {
  if (list.length > most) list.shift();
}
