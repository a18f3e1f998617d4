// Copy, cut and paste: objects among boards, and text from anywhere as a note.

import { around, boxOf, length, place } from "./geometry.mjs";
import { copyOf } from "./actions.mjs";
import { isForField } from "./keys.mjs";
import { fitted } from "./note-text.mjs";
import { counted } from "./words.mjs";

const type = "web application/x-dualcast-whiteboard+json";

/** As many as a board has. */
const mostObjects = 3_000;

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
    const { objects, warning } = readObjects(event.clipboardData.getData(type));
    const pasted = event.clipboardData.getData("text/plain").trim();
    if (objects.length > 0) {
      hands.made(actions.add(shifted(objects, where())));
      hands.warn(warning);
    } else if (pasted !== "") {
      const { text, warning } = fitted(pasted);
      const { x, y } = where();
      const side = text.length > 400 ? 320 : 200;
      const props = { x: place(x - side / 2), y: place(y - side / 2), w: side, h: side, color: hands.toolbox.noteColor, text };
      hands.made(actions.add([{ kind: "note", props }]));
      hands.warn(warning);
    } else return;
    event.preventDefault();
  });
}

/** What comes from a clipboard may be anything: the server looks at each property, this at what the page itself needs. */
export function readObjects(json) {
  const all = parsed(json).filter(isObject);
  const more = all.length - mostObjects;
  if (more <= 0) return { objects: all };
  const warning = `A board has room for ${counted(mostObjects, "object")}: ${counted(more, "object is", "objects are")} left out.`;
  return { objects: all.slice(0, mostObjects), warning };
}

function parsed(json) {
  try {
    const objects = JSON.parse(json);
    return Array.isArray(objects) ? objects : [];
  } catch {
    return [];
  }
}

function isObject(object) {
  const { kind, props } = object ?? {};
  if (!["note", "stroke", "rect", "ellipse"].includes(kind)) return false;
  const places = kind === "stroke" ? props?.points : [props?.w, props?.h];
  return Array.isArray(places) && places.length >= 2 && [props?.x, props?.y, ...places].every(Number.isFinite);
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
