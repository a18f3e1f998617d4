// The viewer's page: the same board, by the browser's EventSource alone. Nothing here can write.

import { Activity } from "./activity.mjs";
import { Avatars } from "./avatars.mjs";
import { writeBoard } from "./board.mjs";
import { Camera } from "./camera.mjs";
import { Chat } from "./chat.mjs";
import { Cursors } from "./cursors.mjs";
import { EmptyBoard } from "./empty-board.mjs";
import { Follow } from "./follow.mjs";
import { Gestures } from "./gestures.mjs";
import { createHearing } from "./hearing.mjs";
import { isForField, key } from "./keys.mjs";
import { OutOfSight } from "./out-of-sight.mjs";
import { People } from "./people.mjs";
import { Previews } from "./previews.mjs";
import { Shown } from "./shown.mjs";
import { SidePanel } from "./side-panel.mjs";
import { Stream } from "./stream.mjs";
import { Surface } from "./surface.mjs";
import { Toasts } from "./toasts.mjs";
import { ViewButtons } from "./view-buttons.mjs";

const $ = (id) => document.getElementById(id);
const name = location.pathname.split("/")[2];
const address = `/b/${name}`;

document.title = `${name} · Whiteboard, view only`;
$("board-name").textContent = name;
$("join").href = address;

/** @type {SidePanel | undefined} */
let panel;
const toasts = new Toasts($("toasts"), $("announcer"));
const shown = new Shown(undefined, "");
const people = new People();
const root = $("board");
const camera = new Camera();
const surface = new Surface({ root, world: $("world") }, shown, camera, (editing) => people.nameOfOther(editing), () => panel?.covers ?? 0);
const cursors = new Cursors($("cursors"), camera, people);
const previews = new Previews(surface, shown, "", () => avatars.draw());
const view = new ViewButtons(camera, surface, $("zoom-figure"), () => follow.stop());
const avatars = new Avatars(
  people,
  { row: $("people"), count: $("everybody"), title: $("people-title"), list: $("everybody-list"), board: root },
  { follow: (id) => follow.toggle(id), stateOf: (id) => (previews.drawers.has(id) ? "is drawing" : undefined) },
);
const follow = new Follow({ camera, surface, cursors, people }, (id) => avatars.showFollowed(id), (words) => toasts.show(words));
new OutOfSight($("lost"), surface, camera, () => view.fit());
new EmptyBoard($("empty"), surface, "Nothing here yet");
new Gestures(root, surface, camera, () => undefined, () => follow.stop());
const chat = new Chat({ list: $("words"), typing: $("typing") }, shown, people, {});
const activity = new Activity($("deeds"), shown, people, (id) => view.revealObject(shown.get(id)));
panel = new SidePanel(
  {
    panel: $("panel"),
    toggle: $("toggle"),
    close: $("panel-close"),
    tabs: { activity: $("tab-activity"), chat: $("tab-chat") },
    bodies: { activity: $("activity"), chat: $("chat") },
  },
  (open) => {
    chat.setOpen(open === "chat");
    activity.setOpen(open === "activity");
  },
  "activity",
);

const buttons = {
  "zoom-in": () => view.zoomBy(1.25),
  "zoom-out": () => view.zoomBy(0.8),
  "zoom-reset": () => view.reset(),
  fit: () => view.fit(),
};
for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", buttons[button.dataset.do]);

const arrows = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] };
const keys = [
  [key("+", "="), buttons["zoom-in"]],
  [key("-", "_"), buttons["zoom-out"]],
  [key("0"), buttons["zoom-reset"]],
  [key("1"), buttons.fit],
  [key(...Object.keys(arrows)), (event) => camera.pan(...arrows[event.key])],
];
addEventListener("keydown", (event) => {
  if (isForField(event.target) || event.defaultPrevented) return;
  keys.find(([fits]) => fits(event))?.[1](event);
});
root.addEventListener("focusin", ({ target }) => {
  const id = surface.idOf(target);
  if (id !== undefined && target.matches(":focus-visible")) view.revealObject(shown.get(id));
});

const stream = new Stream(address, {
  ...createHearing({ root, shown, people, surface, view, cursors, previews, chat, activity }),
  changed() {
    const isOpen = stream.status === "open";
    $("lamp").dataset.state = isOpen ? "open" : "away";
    $("lamp-word").textContent = isOpen ? "EventSource" : "Reconnecting";
    $("notice").hidden = isOpen;
    $("notice").textContent = isOpen ? "" : "The connection is lost. Trying again.";
    if (!isOpen) cursors.clear();
  },
});

/** For tests: `board()` is the board as a snapshot has it, `live` the stream. */
globalThis.whiteboard = { board: () => writeBoard(shown.board), pending: () => 0, live: stream, camera, people };

await stream.open();
