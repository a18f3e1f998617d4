// Copy, cut and paste: objects among boards, and text from anywhere as a note.

import { around, boxOf, length, place } from "./geometry.mjs";
import { copyOf } from "./actions.mjs";
import { isForField } from "./keys.mjs";

const type = "web application/x-dualcast-whiteboard+json";
const mostText = 2_000;
const mostObjects = 500;

/** @param {import("./hands.mjs").Hands} hands @param {() => { x: number, y: number }} where to paste, on the board */
export function listenToClipboard(hands, where) {
  const { selection, shown, actions } = hands;

  const copy = (event) => {
    if (isForField(event.target) || selection.size === 0) return false;
    const objects = selection.ids.map((id) => shown.get(id)).filter((object) => object);
    objects.sort((a, b) => a.z - b.z);
    event.clipboardData.setData(type, JSON.stringify(objects.map((object) => copyOf(object, 0))));
    event.clipboardData.setData("text/plain", objects.map(({ text }) => text).filter(Boolean).join("\n\n"));
    event.preventDefault();
    return true;
  };

  addEventListener("copy", copy);
  addEventListener("cut", (event) => copy(event) && hands.remove());
  addEventListener("paste", (event) => {
    if (isForField(event.target)) return;
    const objects = read(event.clipboardData.getData(type));
    const text = event.clipboardData.getData("text/plain").trim();
    if (objects.length > 0) hands.made(actions.add(shifted(objects, where())));
    else if (text !== "") {
      const { x, y } = where();
      const side = text.length > 400 ? 320 : 200;
      const props = { x: place(x - side / 2), y: place(y - side / 2), w: side, h: side, color: hands.toolbox.noteColor, text: text.slice(0, mostText) };
      hands.made(actions.add([{ kind: "note", props }]));
    } else return;
    event.preventDefault();
  });
}

/** What comes from a clipboard may be anything: the server looks at each property, this at what the page itself needs. */
function read(json) {
  try {
    const objects = JSON.parse(json);
    return objects.filter(({ kind, props }) => ["note", "stroke", "rect", "ellipse"].includes(kind) && Number.isFinite(props.x + props.y)).slice(0, mostObjects);
  } catch {
    return [];
  }
}

/** With their middle at a point. */
function shifted(objects, { x, y }) {
  const box = around(objects.map(({ kind, props }) => boxOf({ kind, ...props })));
  const [dx, dy] = [x - box.x - box.w / 2, y - box.y - box.h / 2];
  return objects.map(({ kind, props }) => {
    const moved = { ...props, x: place(props.x + dx), y: place(props.y + dy) };
    if (kind !== "stroke") Object.assign(moved, { w: length(props.w), h: length(props.h) });
    return { kind, props: moved };
  });
}
