// Makes the screenshots of `examples/whiteboard` for `docs/`: `node screenshots-whiteboard.mjs`, or `just screenshot`.
//
// They show the real thing: five people, each with a page of their own, on one board. What lies on it was made by the page's own actions; who writes,
// draws, types and points just now does it by mouse and keyboard.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { launchChromium } from "./browsers.mjs";
import { startProxy } from "./proxy.mjs";
import { startExample } from "./server.mjs";
import { joinBoard, newKey, WhiteboardPage } from "./whiteboard.mjs";

const board = "garden-day";
const desktop = { width: 1280, height: 800 };
const half = { width: 760, height: 700 };
const into = (name) => fileURLToPath(new URL(`../../docs/${name}.png`, import.meta.url));

const directory = await mkdtemp(join(tmpdir(), "whiteboard-"));
const server = await startExample("whiteboard", { env: { DATA: join(directory, "boards.redb") } });
const network = await startProxy(server.port);
const browser = await launchChromium();
try {
  const come = async (name, color, look = {}) => {
    const page = await joinBoard(browser, network, { name, color, board, transport: "auto", ...desktop, ...look });
    await page.isReady();
    return page;
  };
  const mira = await come("Mira", 5);
  const jonas = await come("Jonas", 6);
  const lena = await come("Lena", 1);
  const sam = await come("Sam", 4, { transport: "sse" });
  const others = { mira, jonas, lena, sam };
  const notes = await fill(others);
  for (const page of Object.values(others)) {
    await page.isSettled();
    await page.click('[data-do="fit"]');
  }

  await jonas.click("#toggle");
  await sam.click("#ink");
  await sam.click('#ink-colors [data-color="2"]');
  await sam.press("Escape");

  const key = newKey();
  for (const [name, isDark] of [
    ["whiteboard", false],
    ["whiteboard-dark", true],
  ]) {
    const ada = await come("Ada", 7, { key, isDark, scale: 1.5 });
    await ada.click("#toggle");
    await ada.click('[data-do="fit"]');
    await select(ada, notes.title);
    await whileBusy(others, notes, async () => {
      await showsAll(ada);
      await ada.sees(() => document.getElementById("typing").textContent === "Jonas is typing");
      await ada.tab.screenshot(into(name));
    });
    await ada.close();
  }

  const phone = await come("Ada", 7, { key, width: 390, height: 844, isPhone: true, scale: 2 });
  await phone.evaluate(() => whiteboard.camera.centre({ x: 313, y: 335 }, { width: 390, height: 780 }, 0.61));
  await whileBusy(others, notes, async () => {
    await showsAll(phone);
    await phone.tab.screenshot(into("whiteboard-phone"));
  });
  await phone.close();

  const editor = await come("Ada", 7, { key, ...half, transport: "ws", scale: 1.5 });
  const viewer = new WhiteboardPage(await browser.newPage(`${network.url}/b/${board}/view`, { ...half, scale: 1.5 }), network);
  await viewer.isReady();
  await viewer.evaluate(() => document.querySelector('[data-do="fit"]').click());
  await select(editor, notes.title);
  await whileBusy(others, notes, async () => {
    for (const page of [editor, viewer]) await showsAll(page);
    await beside([editor, viewer], into("whiteboard-viewer"));
  });
} finally {
  await browser.close();
  await network.close();
  await server.stop();
  await rm(directory, { recursive: true });
}

/** Puts on the board what they have thought of so far, and answers the notes that matter. */
async function fill({ mira, jonas, lena, sam }) {
  const add = async (page, kind, props) => {
    const id = await page.evaluate((kind, props) => whiteboard.act.add(kind, props), kind, props);
    await page.isSettled();
    return id;
  };
  const note = (page, x, y, color, text, w = 190, h = 150) => add(page, "note", { x, y, w, h, color, text });
  const rect = (page, x, y, w, h, color) => add(page, "rect", { x, y, w, h, color });
  const ellipse = (page, x, y, w, h, color) => add(page, "ellipse", { x, y, w, h, color });
  const line = (page, color, width, ...points) => {
    const [x, y] = points[0].map(Math.round);
    return add(page, "stroke", { x, y, color, width, points: byHand(points).flatMap(([px, py]) => [Math.round(px - x), Math.round(py - y)]) });
  };
  const arrow = async (page, color, from, by, to) => {
    await line(page, color, 4, from, by, to);
    const angle = Math.atan2(to[1] - by[1], to[0] - by[0]);
    const wing = (turn) => [to[0] - 16 * Math.cos(angle + turn), to[1] - 16 * Math.sin(angle + turn)];
    await line(page, color, 4, wing(0.5), to);
    await line(page, color, 4, wing(-0.5), to);
  };
  const round = (x, y, radius, wobble = 0) =>
    Array.from({ length: 65 }, (_, i) => {
      const angle = (i / 64) * 2 * Math.PI;
      const r = radius * (1 + wobble * Math.cos(8 * angle));
      return [x + r * Math.cos(angle), y + r * Math.sin(angle)];
    });

  // The garden, as Mira sees it.
  await rect(mira, 280, 160, 560, 480, 4);
  for (const x of [320, 430, 540]) {
    await rect(mira, x, 200, 84, 190, 2);
    for (const y of [230, 275, 320, 365]) await line(mira, 4, 3, [x + 18, y], [x + 30, y - 12], [x + 42, y], [x + 54, y - 12], [x + 66, y]);
  }
  await ellipse(mira, 320, 470, 190, 130, 6);
  for (const [x, y] of [[355, 525], [385, 555]]) await line(mira, 6, 3, [x, y], [x + 20, y - 10], [x + 40, y], [x + 60, y - 10], [x + 80, y]);
  // A tree, the shed and the sun.
  await line(jonas, 2, 14, [740, 400], [743, 350], [740, 310]);
  await line(jonas, 4, 6, ...round(740, 255, 62, 0.09));
  await rect(jonas, 710, 515, 90, 80, 0);
  await line(jonas, 0, 6, [700, 518], [755, 470], [810, 518]);
  await line(lena, 3, 6, ...round(945, 75, 34));
  for (let i = 0; i < 8; i++) {
    const [c, s] = [Math.cos((i / 8) * 2 * Math.PI), Math.sin((i / 8) * 2 * Math.PI)];
    await line(lena, 3, 6, [945 + 50 * c, 75 + 50 * s], [945 + 70 * c, 75 + 70 * s]);
  }

  const title = await note(mira, 280, 20, 0, "Garden day, 16 May\nCome at ten, bring gloves!", 330, 100);
  const seeds = await note(lena, 20, 160, 3, "Beans and sunflowers: I have seeds.");
  await note(jonas, 20, 330, 6, "Two wheelbarrows, a spade, a saw");
  await note(mira, 20, 500, 5, "The pond first: the frogs are back!");
  await note(sam, 905, 210, 1, "Lemonade and cake at three, under the tree");
  await note(jonas, 905, 400, 4, "Compost goes behind the shed, please");
  await note(lena, 905, 590, 7, "Do we paint the fence? Blue? Green?");
  // From what is said to where it is.
  await arrow(lena, 3, [215, 225], [262, 205], [312, 225]);
  await arrow(mira, 5, [215, 575], [262, 580], [314, 550]);
  await arrow(sam, 1, [900, 270], [860, 235], [815, 250]);
  await arrow(jonas, 4, [900, 485], [860, 525], [812, 550]);

  for (const [page, text] of [
    [lena, "Beans and sunflowers are in my cellar. Who has peas?"],
    [jonas, "I do. And two wheelbarrows."],
    [mira, "Frogs in the pond since Sunday! Can we start there?"],
    [sam, "Sure. Let me draw the path from the gate, past the beds"],
    [mira, "Mind the shed, please, it leans a little"],
  ]) {
    await page.evaluate((text) => whiteboard.act.say(text), text);
    await page.isSettled();
  }
  return { seeds, title };
}

/** Points so close to each other that a line through them looks drawn: round where three of them follow each other. */
function byHand(points) {
  if (points.length > 8) return points;
  const [first] = points;
  const smooth = points.slice(1, -1).flatMap((point, i) => {
    const from = i === 0 ? first : middle(points[i], point);
    const to = i === points.length - 3 ? points.at(-1) : middle(point, points[i + 2]);
    return [0.25, 0.5, 0.75, 1].map((t) => {
      const along = (n) => (1 - t) ** 2 * from[n] + 2 * t * (1 - t) * point[n] + t ** 2 * to[n];
      return [along(0), along(1)];
    });
  });
  return points.length < 3 ? points : [first, ...smooth];
}

function middle([ax, ay], [bx, by]) {
  return [(ax + bx) / 2, (ay + by) / 2];
}

/** While Lena writes, Sam draws, Jonas types, and all point at something. */
async function whileBusy({ mira, jonas, lena, sam }, notes, act) {
  const at = (page, x, y) => page.evaluate((x, y) => whiteboard.camera.toScreen({ x, y }), x, y);
  const on = await lena.place(notes.seeds);
  await lena.tab.doubleClick(on.x, on.y);
  await lena.isWriting();
  await lena.press("End");
  await lena.type(" Peas?");
  await sam.press("p");
  const path = [];
  for (const [x, y] of [[600, 640], [598, 590], [590, 540], [572, 490], [580, 440], [620, 418], [650, 432]]) path.push(await at(sam, x, y));
  await sam.startDrag(...path);
  await jonas.click("#say-text");
  await jonas.type("I bring a level");
  for (const [page, x, y] of [[mira, 470, 490], [jonas, 800, 590], [lena, 165, 270]]) {
    const point = await at(page, x, y);
    await page.tab.point(point.x - 8, point.y - 6);
    await page.tab.point(point.x, point.y, 3);
  }
  await act();
  await sam.press("Escape");
  await sam.tab.mouseUp();
  await jonas.press("Control+a");
  await jonas.press("Delete");
  await lena.press("Escape");
  await lena.press("Control+z");
  for (const page of [lena, sam]) await page.isSettled();
}

async function select(page, id) {
  const { x, y } = await page.place(id);
  await page.tab.click(x, y);
  await page.shows("#selected", /./s);
}

/** It shows what all are doing, and nothing is on its way any more. */
async function showsAll(page) {
  const isSeen = () =>
    document.querySelectorAll(".cursor").length === 4 &&
    document.querySelector("#world .drawing") !== null &&
    document.querySelector(".is-locked .text")?.textContent.endsWith("Peas?");
  await page.sees(isSeen);
  await sleep(600);
}

/** Two pages as they are at this moment, beside each other in one picture. */
async function beside(pages, path) {
  const pictures = await Promise.all(
    pages.map(async (page, i) => {
      const file = join(directory, `${i}.png`);
      await page.tab.screenshot(file);
      return (await readFile(file)).toString("base64");
    }),
  );
  const both = await browser.newPage("about:blank", { width: 2 * half.width + 60, height: half.height + 40, scale: 1.5 });
  await both.evaluate(async (pictures) => {
    document.body.style.cssText = "margin: 0; padding: 20px; display: flex; gap: 20px; background: #e4e3de";
    for (const picture of pictures) {
      const image = new Image();
      image.src = `data:image/png;base64,${picture}`;
      image.style.cssText = "flex: 1; min-width: 0; border-radius: 14px; box-shadow: 0 1px 3px rgb(0 0 0 / 18%), 0 10px 30px rgb(0 0 0 / 12%)";
      document.body.append(image);
      await image.decode();
    }
  }, pictures);
  await both.screenshot(path);
  await both.close();
}
