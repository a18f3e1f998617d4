// The start page: a new board, one by its name, or one of the last.

import { forgetBoard, recentBoards } from "./recent.mjs";
import { ago } from "./words.mjs";

const problem = document.querySelector("#problem");
const list = document.querySelector("#recent-list");

document.querySelector("#new").addEventListener("click", async ({ currentTarget: button }) => {
  problem.textContent = "";
  button.disabled = true;
  try {
    const response = await fetch("/boards", { method: "POST" });
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const { name } = await response.json();
    location.href = `/b/${name}`;
  } catch (error) {
    problem.textContent = `No board could be made: ${error.message}.`;
    button.disabled = false;
  }
});

document.querySelector("#open").addEventListener("submit", (event) => {
  event.preventDefault();
  const wanted = document.querySelector("#open-name").value.trim().toLowerCase();
  const name = /\/b\/([a-z0-9-]{1,40})/.exec(wanted)?.[1] ?? wanted;
  if (/^[a-z0-9-]{1,40}$/.test(name)) location.href = `/b/${name}`;
  else problem.textContent = "A board’s name has 1 to 40 letters, digits and hyphens.";
});

draw();
// Whoever comes back by the browser's button sees where they were.
addEventListener("pageshow", ({ persisted }) => {
  document.querySelector("#new").disabled = false;
  if (persisted) draw();
});

function draw() {
  const boards = recentBoards();
  document.querySelector("#recent").hidden = boards.length === 0;
  list.replaceChildren(...boards.map(line));
}

function line({ name, at }) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = `/b/${name}`;
  const title = document.createElement("b");
  title.textContent = name;
  const time = document.createElement("time");
  const when = ago(at, Date.now());
  time.textContent = when === "now" ? "just now" : /^\d+ (min|h)$/.test(when) ? `${when} ago` : when;
  link.append(title, time);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "tool";
  button.setAttribute("aria-label", `Forget ${name}`);
  button.dataset.tip = "Forget";
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.classList.add("icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "/whiteboard/icons.svg#close");
  svg.append(use);
  button.append(svg);
  button.addEventListener("click", () => {
    forgetBoard(name);
    draw();
  });
  item.append(link, button);
  return item;
}
