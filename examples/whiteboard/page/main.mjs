// The editor's page: everything is made here, and made known to each other.

import { Actions } from "./actions.mjs";
import { Activity } from "./activity.mjs";
import { Avatars } from "./avatars.mjs";
import { idOf, writeBoard } from "./board.mjs";
import { Camera } from "./camera.mjs";
import { Chat } from "./chat.mjs";
import { listenToClipboard } from "./clipboard.mjs";
import { ConnectionPanel } from "./connection-panel.mjs";
import { Connection } from "./connection.mjs";
import { Cursors } from "./cursors.mjs";
import { EmptyBoard } from "./empty-board.mjs";
import { Follow } from "./follow.mjs";
import { Hands } from "./hands.mjs";
import { createHearing } from "./hearing.mjs";
import { loadIdentity, publicId, randomId } from "./identity.mjs";
import { drawList, listen } from "./keys.mjs";
import { leaveBehind, takeLeftovers } from "./leftovers.mjs";
import { OutOfSight } from "./out-of-sight.mjs";
import { Pending } from "./pending.mjs";
import { People } from "./people.mjs";
import { Previews } from "./previews.mjs";
import { Profile } from "./profile.mjs";
import { rememberBoard } from "./recent.mjs";
import { Refusals } from "./refusals.mjs";
import { SelectionBar } from "./selection-bar.mjs";
import { Selection } from "./selection.mjs";
import { prepareSharing } from "./share.mjs";
import { Sharing } from "./sharing.mjs";
import { shortcuts } from "./shortcuts.mjs";
import { Shown } from "./shown.mjs";
import { SidePanel } from "./side-panel.mjs";
import { keep, recall } from "./storage.mjs";
import { Surface } from "./surface.mjs";
import { TextEditor } from "./text-editor.mjs";
import { Toasts } from "./toasts.mjs";
import { Toolbox } from "./toolbox.mjs";
import { ViewButtons } from "./view-buttons.mjs";
import { withoutText } from "./without-text.mjs";
import { counted } from "./words.mjs";

const $ = (id) => document.getElementById(id);
const name = location.pathname.split("/")[2];
const address = `/b/${name}`;
const transportPlace = "whiteboard.transport";

document.title = `${name} · Whiteboard`;
$("board-name").textContent = name;
rememberBoard(name);

const toasts = new Toasts($("toasts"), $("announcer"));
const identity = loadIdentity();
const me = await publicId(identity.key).catch((error) => {
  $("notice").textContent = error.message;
  $("notice").hidden = false;
  throw error;
});
const profile = new Profile(
  { button: $("me"), popover: $("me-popover"), form: $("me-form"), name: $("me-name"), problem: $("me-problem"), colors: $("me-colors") },
  identity,
  () => connection.rejoin(),
);
const refuse = (words) => toasts.show(words, "bad");

// The board, and what is to become of it.

const pending = new Pending(randomId(12), {
  send: (message, key) => connection.send("op", message, key),
  refused: (changes, error) => {
    // The refusal may come before the log tells who was first.
    const name = people.others.find(([id]) => error.message.includes(id))?.[1].name ?? "Somebody else";
    const isLocked = error.code === "locked";
    const isOpen = isLocked && changes.some((change) => idOf(change) === editor.id);
    if (isOpen) editor.lose(name);
    shown.takeBack(changes);
    chat.draw();
    if (isOpen) refusals.takeTold(changes);
    else refusals.take(changes, isLocked ? `${name} is editing this note` : error.message.replace(` (${error.code})`, ""));
  },
  answered: (milliseconds) => connection.took(milliseconds),
});
const refusals = new Refusals({
  show: refuse,
  keep: (why, text) => toasts.keep(why, text),
  isThere: (text) => shown.says(text),
  mayGrow: () => pending.unsent > 0,
});
const leftovers = takeLeftovers(name);
pending.adopt(leftovers.messages);
if (leftovers.lost > 0) refuse(`${counted(leftovers.lost, "change was", "changes were")} lost when the page was left: the browser had no room to keep them.`);
const shown = new Shown(pending, me);
const people = new People(me);
const actions = new Actions(shown, pending.client, { lockedBy: ({ editing }) => people.nameOfOther(editing), refuse });

// What is seen.

/** @type {SidePanel | undefined} */
let panel;
const root = $("board");
const camera = new Camera();
const surface = new Surface({ root, world: $("world") }, shown, camera, (editing) => people.nameOfOther(editing), () => panel?.covers ?? 0);
const selection = new Selection(surface, camera, $("overlay"));
const sharing = new Sharing((event, data) => connection.tell(event, data));
const cursors = new Cursors($("cursors"), camera, people, me);
const previews = new Previews(surface, shown, me, () => avatars.draw());
const view = new ViewButtons(camera, surface, $("zoom-figure"), () => follow.stop());
const toolbox = new Toolbox({ tools: $("tools"), ink: $("ink"), colors: $("ink-colors"), widths: $("ink-widths") });
const editor = new TextEditor(surface, shown, actions, me, {
  nameOf: (id) => people.nameOfOther(id),
  refuse,
  withdraw: (id) => {
    refusals.takeTold([...pending.changes()].filter((change) => idOf(change) === id));
    pending.withdraw((change) => withoutText(change, id));
    shown.takeBack([{ set: id }]);
  },
  keep: (why, text) => refusals.keep(why, text),
  opened: (isOpen) => {
    selection.isQuiet = isOpen;
  },
  left: (id) => {
    // Whoever goes on typing presses no key of the board on the note.
    if (id === undefined) selection.clear();
    (surface.elementOf(id) ?? root).focus({ preventScroll: true });
  },
});
const avatars = new Avatars(
  people,
  { row: $("people"), count: $("everybody"), title: $("people-title"), list: $("everybody-list"), board: root },
  { follow: (id) => follow.toggle(id), stateOf },
);
const follow = new Follow({ camera, surface, cursors, people }, (id) => avatars.showFollowed(id), (words) => toasts.show(words));
new EmptyBoard($("empty"), surface);

/** What somebody else is doing. */
function stateOf(id) {
  if (previews.drawers.has(id)) return "is drawing";
  for (const { editing, deleted } of shown.objects.values()) if (editing === id && !deleted) return "is writing";
  return undefined;
}

// What the user does.

const hands = new Hands(
  { root, camera, surface, shown, selection, actions, sharing, toolbox, editor, view, toasts },
  () => follow.stop(),
);
new SelectionBar($("selected"), $("selected-colors"), hands, (color) => hands.colour(color));
new OutOfSight($("lost"), surface, camera, () => view.fit());

const buttons = {
  undo: () => actions.undo(),
  redo: () => actions.redo(),
  "zoom-in": () => view.zoomBy(1.25),
  "zoom-out": () => view.zoomBy(0.8),
  "zoom-reset": () => view.reset(),
  fit: () => view.fit(),
  help: () => $("help").showModal(),
  edit: () => hands.edit(selection.ids[0]),
  duplicate: () => hands.duplicate(),
  front: () => actions.bringToFront(selection.ids),
  delete: () => hands.remove(),
};
for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", buttons[button.dataset.do]);
const showSteps = () => {
  document.querySelector('[data-do="undo"]').setAttribute("aria-disabled", !actions.canUndo);
  document.querySelector('[data-do="redo"]').setAttribute("aria-disabled", !actions.canRedo);
};
actions.on(showSteps);
showSteps();
// A tool that is chosen by a key and pressed again puts its object into the middle.
$("tools").addEventListener("keydown", (event) => {
  const tool = event.target.closest("[data-tool]")?.dataset.tool;
  if (event.key === "Enter" && tool === toolbox.name && hands.enter()) event.preventDefault();
});

// What others say.

const chat = new Chat(
  { list: $("words"), typing: $("typing"), form: $("say"), text: $("say-text") },
  shown,
  people,
  {
    say: (text) => shown.change([{ chat: text }]),
    tellTyping: (isTyping) => connection.tell("typing", isTyping),
    unreadChanged: (count) => {
      $("unread").hidden = count === 0;
      $("unread").textContent = count > 99 ? "99+" : `${count}`;
      $("toggle").setAttribute("aria-label", count === 0 ? "Chat and activity" : `Chat and activity, ${count} unread`);
    },
  },
);
const activity = new Activity($("deeds"), shown, people, (id) => {
  view.revealObject(shown.get(id));
  selection.set([id]);
});
panel = new SidePanel(
  {
    panel: $("panel"),
    toggle: $("toggle"),
    close: $("panel-close"),
    tabs: { chat: $("tab-chat"), activity: $("tab-activity") },
    bodies: { chat: $("chat"), activity: $("activity") },
  },
  (open) => {
    chat.setOpen(open === "chat");
    activity.setOpen(open === "activity");
  },
);

// The connection.

const hearing = createHearing({ root, shown, people, surface, view, cursors, previews, chat, activity }, () => chat.begin());
const connection = new Connection(address, () => profile.identity, chosenTransport(), {
  ...hearing,
  ready: () => pending.release(),
  lost: () => {
    pending.hold();
    cursors.clear();
  },
  changed: () => connectionPanel.draw(),
});
const connectionPanel = new ConnectionPanel(
  {
    lamp: $("lamp"),
    word: $("lamp-word"),
    words: $("connection-words"),
    transports: $("transports"),
    figures: $("figures"),
    notice: $("notice"),
    reconnect: $("reconnect"),
  },
  connection,
  pending,
  (transport) => {
    keep(transportPlace, transport);
    connection.switchTo(transport);
  },
);

// The pointer, as others see it.

root.addEventListener("pointermove", (event) => {
  lastPoint = camera.toBoard(surface.pointOf(event));
  sharing.cursor(lastPoint);
});
root.addEventListener("pointerleave", () => sharing.cursor(null));
document.addEventListener("visibilitychange", () => document.hidden && sharing.cursor(null));
/** Where the pointer was last. */
let lastPoint;
listenToClipboard(hands, () => lastPoint ?? camera.toBoard(view.middle));

// Keys.

const keys = shortcuts(hands, { chat: () => panel.toggle(), help: () => $("help").showModal() });
drawList($("help-list"), keys);
listen(keys);
$("help-close").addEventListener("click", () => $("help").close());
$("help").addEventListener("click", ({ target }) => target === $("help") && $("help").close());
for (const [event, isDown] of [
  ["keydown", true],
  ["keyup", false],
]) {
  addEventListener(event, (pressed) => {
    const isBoard = pressed.target === root || pressed.target === document.body || surface.idOf(pressed.target) !== undefined;
    if (pressed.key !== " " || (isDown && !isBoard)) return;
    if (isDown) pressed.preventDefault();
    hands.holdSpace(isDown);
  });
}
// Who goes through the board with Tab selects what has the focus, and sees it.
root.addEventListener("focusin", ({ target }) => {
  const id = surface.idOf(target);
  if (id === undefined || !target.matches(":focus-visible") || editor.id !== undefined) return;
  if (!selection.has(id)) selection.set([id]);
  view.revealObject(shown.get(id));
});

// A phone's keyboard comes up, and what one writes on stays in sight.
visualViewport?.addEventListener("resize", () => {
  if (editor.id !== undefined) view.revealObject(shown.get(editor.id));
});

prepareSharing({ edit: $("share-edit"), view: $("share-view") }, address, toasts);

// What is unsent when the page is left.

addEventListener("beforeunload", (event) => {
  editor.close();
  // A connection that counts as open may bring nothing through.
  if (pending.unsent > 0 && (pending.isStuck || connection.state.status !== "open")) event.preventDefault();
});
/** What is left for the next page, while this one is put away. */
let left = [];
addEventListener("pagehide", () => {
  editor.close();
  left = leaveBehind(name, pending.freeze());
});
addEventListener("pageshow", ({ persisted }) => persisted && shown.takeBack(pending.regain(left, takeLeftovers(name).messages)));

function chosenTransport() {
  const asked = new URLSearchParams(location.search).get("transport");
  const kept = asked ?? recall(transportPlace);
  return ["auto", "ws", "sse"].includes(kept) ? kept : "auto";
}

/**
 * For tests, and for the curious: `board()` is the confirmed board as a snapshot has it; `pending()` how many own changes the log has not told yet;
 * `shown` what is seen; `live` the connection, with its `state`, `cursor` and `figures`; `act` changes the board as the user does (`add`, `set`,
 * `remove`, `undo`, `redo`, and `edit` and `done` of a note); `camera` says where one looks from.
 */
globalThis.whiteboard = {
  me,
  board: () => writeBoard(shown.board),
  pending: () => pending.untold,
  unsent: () => pending.unsent,
  shown: () => Object.fromEntries(shown.objects),
  live: connection,
  act: {
    add: (kind, props) => actions.add([{ kind, props }])[0],
    set: (id, props) => actions.set(new Map([[id, props]])),
    remove: (id) => actions.remove([id]),
    undo: () => actions.undo(),
    redo: () => actions.redo(),
    edit: (id) => shown.change([{ edit: id }]),
    done: (id) => shown.change([{ done: id }]),
    say: (text) => shown.change([{ chat: text }]),
  },
  camera,
  people,
};

await connection.open();
