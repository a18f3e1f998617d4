// Every key of the board, and what it does.

import { command, commandKey, key } from "./keys.mjs";

const tools = [
  ["select", "Select", "V"],
  ["hand", "Move the view", "H"],
  ["note", "Note", "N"],
  ["pen", "Pen", "P"],
  ["rect", "Rectangle", "R"],
  ["ellipse", "Ellipse", "O"],
  ["eraser", "Eraser", "E"],
];

const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** How far an arrow key moves what is selected, with Shift ten times as far; and the view, in pixels. */
const nudge = 4;
const panning = 80;

/**
 * @param {import("./hands.mjs").Hands} hands
 * @param {{ chat: () => void, help: () => void }} open
 * @returns {import("./keys.mjs").Shortcut[]}
 */
export function shortcuts(hands, open) {
  const { selection, actions, toolbox, view } = hands;
  /** Something that is done to what is selected. */
  const withSelection = (act) => () => selection.size > 0 && act(selection.ids);
  return [
    ...tools.map(([name, label, letter]) => ({
      group: "Tools",
      label,
      keys: [letter],
      fits: key(letter.toLowerCase()),
      run: () => toolbox.choose(name),
    })),
    { group: "Tools", label: "Put one into the middle", keys: ["Enter"], fits: key("Enter"), run: () => hands.enter() },
    { group: "Tools", label: "Colours", keys: ["Alt", "1–8"], fits: isDigit, run: ({ code }) => hands.colour(Number(code.at(-1)) - 1) },

    { group: "Selected", label: "Edit the text", keys: ["Enter"], fits: () => false, run: () => {} },
    { group: "Selected", label: "Delete", keys: ["Del"], fits: key("Delete", "Backspace"), run: withSelection(() => hands.remove()) },
    { group: "Selected", label: "Move", keys: ["←↑→↓"], fits: isArrow, run: (event) => moveBy(hands, event) },
    { group: "Selected", label: "Duplicate", keys: [command, "D"], fits: commandKey("d"), run: withSelection(() => hands.duplicate()) },
    { group: "Selected", label: "To the front, to the back", keys: ["]", "["], fits: key("]"), run: withSelection((ids) => actions.bringToFront(ids)) },
    { group: "Selected", label: "", keys: [], fits: key("["), run: withSelection((ids) => actions.sendToBack(ids)) },
    { group: "Selected", label: "Select all", keys: [command, "A"], fits: commandKey("a"), run: () => hands.selectAll() },
    { group: "Selected", label: "Select nothing", keys: ["Esc"], fits: key("Escape"), run: () => hands.escape() },

    { group: "Board", label: "Undo", keys: [command, "Z"], fits: commandKey("z"), run: () => actions.undo() },
    { group: "Board", label: "Redo", keys: [command, "Shift", "Z"], fits: commandKey("z", { shift: true }), run: () => actions.redo() },
    { group: "Board", label: "", keys: [], fits: commandKey("y"), run: () => actions.redo() },
    { group: "Board", label: "Next, previous object", keys: ["Tab", "Shift Tab"], fits: () => false, run: () => {} },
    { group: "Board", label: "Copy, cut, paste", keys: [command, "C X V"], fits: () => false, run: () => {} },
    { group: "Board", label: "Chat", keys: ["C"], fits: key("c"), run: () => open.chat() },
    { group: "Board", label: "This list", keys: ["?"], fits: ({ key: pressed }) => pressed === "?", run: () => open.help() },

    { group: "View", label: "Move", keys: ["Space", "drag"], fits: () => false, run: () => {} },
    { group: "View", label: "Zoom in, out", keys: ["+", "−"], fits: key("+", "="), run: () => view.zoomBy(1.25) },
    { group: "View", label: "", keys: [], fits: key("-", "_"), run: () => view.zoomBy(0.8) },
    { group: "View", label: "Zoom at the pointer", keys: [command, "wheel"], fits: () => false, run: () => {} },
    { group: "View", label: "100%", keys: ["0"], fits: key("0"), run: () => view.reset() },
    { group: "View", label: "Show everything", keys: ["1"], fits: key("1"), run: () => view.fit() },
  ];
}

function isDigit({ altKey, ctrlKey, metaKey, code }) {
  return altKey && !ctrlKey && !metaKey && /^Digit[1-8]$/.test(code);
}

function isArrow({ key: pressed, ctrlKey, metaKey, altKey }) {
  return pressed in arrows && !ctrlKey && !metaKey && !altKey;
}

function moveBy({ selection, actions, camera }, event) {
  const [x, y] = arrows[event.key];
  const times = event.shiftKey ? 10 : 1;
  const { ids } = selection;
  if (ids.length === 0) return camera.pan(-x * panning * (event.shiftKey ? 4 : 1), -y * panning * (event.shiftKey ? 4 : 1));
  actions.move(ids, x * nudge * times, y * nudge * times, `move ${ids.join()}`);
}
