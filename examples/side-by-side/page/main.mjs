// The page: three panes on one channel, and what belongs to none of them.

import { Clock } from "./clock.mjs";
import { Machine } from "./machine.mjs";
import { Pane } from "./pane.mjs";
import { ask, tell } from "./server.mjs";
import { dualcast, eventSource, webSocket } from "./services.mjs";

const longestHold = 15;

const clock = new Clock();
const holdSeconds = Math.round(Number(new URLSearchParams(location.search).get("hold"))) || 10;

/** What a pane can't see to alone. @type {import("./pane.mjs").Surroundings} */
const surroundings = {
  clock,
  machine: new Machine(),
  holdSeconds: Math.min(longestHold, Math.max(1, holdSeconds)),
};

const panes = [
  new Pane("A", eventSource, surroundings),
  new Pane("B", webSocket, surroundings),
  new Pane("C", dualcast, surroundings),
];
document.querySelector("#panes").append(...panes.map(({ element }) => element));

// A description that is seen by pointing at a button is the one that is read out with it.
for (const button of document.querySelectorAll("button[aria-describedby]")) {
  button.title = document.getElementById(button.getAttribute("aria-describedby")).textContent.replace(/\s+/g, " ");
}

const trouble = document.querySelector("#trouble");
const statistics = document.querySelector("#statistics");
document.querySelector("#burst").addEventListener("click", () => attempt(() => tell("/burst?count=1000")));
statistics.addEventListener("click", () =>
  attempt(async () => {
    await tell(`/statistics?on=${statistics.getAttribute("aria-pressed") === "true"}`);
    await lookAtSwitch();
  }),
);
for (const [target, event] of [
  [document, "visibilitychange"],
  [globalThis, "online"],
]) {
  // While it slept, its clock may have stood still.
  target.addEventListener(event, () => clock.set().catch(ignore));
}

await Promise.allSettled([clock.set(), lookAtSwitch()]);
for (const pane of panes) pane.open();
setInterval(() => panes.forEach((pane) => pane.tick()), 100);
// While the server is away, the panes say so.
setInterval(() => Promise.all([lookAtSwitch(), ...panes.map((pane) => pane.weigh())]).catch(ignore), 1_000);
setInterval(() => clock.set().catch(ignore), 30_000);

/** The switch is the server's: another page may have pressed it. */
async function lookAtSwitch() {
  const { on } = await ask("/statistics");
  statistics.setAttribute("aria-pressed", !on);
}

/** Does what a button says, or says why not. */
async function attempt(act) {
  trouble.textContent = "";
  try {
    await act();
  } catch (error) {
    trouble.textContent = `That did not work: ${error.message}`;
  }
}

function ignore() {}
