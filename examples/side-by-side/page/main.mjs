// The page: two panes on one channel, and what belongs to neither.

import { Clock } from "./clock.mjs";
import { Machine } from "./machine.mjs";
import { Pane } from "./pane.mjs";
import { ask, tell } from "./server.mjs";

const clock = new Clock();
const machine = new Machine();

/** What a pane can't see to alone. @type {import("./pane.mjs").Surroundings} */
const surroundings = {
  clock,
  machine,
  holdSeconds: Math.min(20, Math.max(1, Number(new URLSearchParams(location.search).get("hold")) || 10)),

  async othersHave(pane, n) {
    const others = panes.filter((other) => other !== pane && other.isOpen);
    for (let i = 0; i < 40 && others.some(({ heard }) => heard < n); i++) await sleep(50);
  },
};

const panes = [new Pane("A", "sse", surroundings), new Pane("B", "ws", surroundings)];
document.querySelector("#panes").append(...panes.map(({ element }) => element));

document.querySelector("#burst").addEventListener("click", () => tell("/burst?count=1000"));

const statistics = document.querySelector("#statistics");
const showSwitch = ({ on }) => statistics.setAttribute("aria-pressed", !on);
statistics.addEventListener("click", async () => {
  const on = statistics.getAttribute("aria-pressed") === "true";
  await tell(`/statistics?on=${on}`);
  showSwitch({ on });
});

// A description that is seen by pointing at a button is the one that is read out with it.
for (const button of document.querySelectorAll("button[aria-describedby]")) {
  button.title = document.getElementById(button.getAttribute("aria-describedby")).textContent.replace(/\s+/g, " ");
}

await Promise.all([clock.set(), ask("/statistics").then(showSwitch)]);
for (const pane of panes) pane.open();
setInterval(() => panes.forEach((pane) => pane.tick()), 100);
// While the server is away, the panes say so.
setInterval(() => panes.forEach((pane) => pane.weigh().catch(() => {})), 1_000);
setInterval(() => clock.set().catch(() => {}), 30_000);

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
