// Two people do a thousand things to one board, all at once, while their connections are cut: in the end both see the same, and the server has stored
// that.
//
// What they do comes from a seed, which a failure prints: `SEED=… node --test whiteboard-converge.test.mjs` does the same again, though networks
// and machines take their own time.

import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { launchChromium } from "./browsers.mjs";
import { startNats } from "./nats.mjs";
import { startProxy } from "./proxy.mjs";
import { buildExample, buildTimeout, startExample } from "./server.mjs";
import { until } from "./until.mjs";
import { joinBoard, patience, snapshot } from "./whiteboard.mjs";

const timeout = 180_000;

/** How many things each of the two does by the page's own actions, and how many by mouse and keyboard. */
const actions = 500;
const gestures = 12;

/** How often each connection is cut, at least. */
const cuts = 8;

describe("whiteboard", () => {
  let browser;
  before(async () => buildExample("whiteboard"), { timeout: buildTimeout });
  before(async () => (browser = await launchChromium()), { timeout });
  after(async () => browser?.close());

  it("is one board for two nodes, for a WebSocket and an event stream, whatever is done and cut", { timeout }, async (t) => {
    await seeded(t, async (random, own) => {
      const nats = await startNats();
      own(nats.stop);
      const start = async () => {
        const server = await startExample("whiteboard", { env: { NATS_URL: nats.url } });
        own(() => server.stop());
        return server;
      };
      const servers = [await start(), await start()];
      const { done, told } = await twoWork(browser, random, own, servers, async () => {});
      t.diagnostic(told);
      // Each node has the same, and so has what they have stored, and whoever comes when both are gone.
      for (const server of servers) assert.deepEqual((await snapshot(server.url)).board, done);
      for (const server of servers) assert.deepEqual(await server.stop(), { code: 0, signal: null });
      assert.deepEqual(JSON.parse(await nats.stored("whiteboard_boards", "one")).board, done);
      const third = await start();
      assert.deepEqual((await snapshot(third.url)).board, done);
    });
  });

  it("is one board through a restart in the middle, whatever is done and cut", { timeout }, async (t) => {
    await seeded(t, async (random, own) => {
      const directory = await mkdtemp(join(tmpdir(), "whiteboard-"));
      own(() => rm(directory, { recursive: true }));
      const env = { DATA: join(directory, "boards.redb") };
      let server = await startExample("whiteboard", { env });
      own(() => server.stop());
      const { port } = server;
      const restart = async () => {
        assert.deepEqual(await server.stop(), { code: 0, signal: null });
        server = await startExample("whiteboard", { port, env });
      };
      const { done, told } = await twoWork(browser, random, own, [server, server], restart);
      t.diagnostic(told);
      assert.deepEqual((await snapshot(server.url)).board, done);
      await restart();
      assert.deepEqual((await snapshot(server.url)).board, done);
    });
  });
});

/** Runs it with a seed, and with what takes away what it took, the last first. */
async function seeded(t, run) {
  const seed = Number(process.env.SEED ?? randomInt(2 ** 31));
  const owned = [];
  try {
    await run(generator(seed), (free) => owned.push(free));
  } catch (error) {
    error.message = `SEED=${seed}: ${error.message}`;
    throw error;
  } finally {
    for (const free of owned.toReversed()) await free();
  }
  t.diagnostic(`seed ${seed}`);
}

/** Two work, one over each transport, while their networks fail; halfway something else happens. Answers the board, once it is the same for all. */
async function twoWork(browser, random, own, servers, happens) {
  const began = Date.now();
  const people = [];
  for (const [number, [name, transport]] of [["Ada", "ws"], ["Bob", "sse"]].entries()) {
    const network = await startProxy(servers[number].port);
    own(() => network.close());
    const page = await joinBoard(browser, network, { name, transport, color: number + 1 });
    own(() => page.close());
    await page.isReady();
    people.push(page);
  }

  const seeds = people.map(() => Math.floor(random() * 2 ** 31));
  await Promise.all(people.map((page, i) => page.evaluate(work, seeds[i], actions, `${generator}`)));
  const counts = { cuts: 0 };
  let hasHappened = false;
  const network = (async () => {
    while (!(await allDone(people)) || counts.cuts < 2 * cuts) {
      await trouble(people[counts.cuts % 2].network, random);
      counts.cuts += 1;
      if (hasHappened || (await progress(people)) < actions) continue;
      hasHappened = true;
      await happens();
    }
  })();
  await Promise.all([network, ...people.map((page) => byHand(page, random))]);
  assert.ok(hasHappened, "it was halfway once");
  for (const { network } of people) {
    network.heal();
    network.cutSilent();
  }
  // Nobody is at a text any more: that would be told when they leave.
  for (const page of people) {
    await page.press("Escape");
    await page.evaluate(() => {
      for (const [id, { editing }] of Object.entries(whiteboard.shown())) if (editing === whiteboard.me) whiteboard.act.done(id);
    });
  }
  for (const page of people) await page.isSettled(patience);

  // All the log is told to both.
  const boards = async () => Promise.all(people.map((page) => page.board()));
  let [one, other] = await boards();
  const isSame = async () => {
    [one, other] = await boards();
    return JSON.stringify(one.seen) === JSON.stringify(other.seen);
  };
  await until(isSame, () => `both have seen the same: ${JSON.stringify([one.seen, other.seen])}`, patience);
  for (const part of ["deleted", "chat", "activity", "objects"]) assert.deepEqual(one[part], other[part], part);
  assert.deepEqual(one, other);

  const done = JSON.parse(JSON.stringify(one));
  for (const page of people) await page.isDrawn();
  const sums = await Promise.all(people.map((page) => page.evaluate(() => globalThis.work)));
  for (const [number, page] of people.entries()) {
    // What is shown is what is confirmed, and what stands on the screen, in this order.
    assert.deepEqual(await page.evaluate(() => whiteboard.shown()), done.objects);
    assert.deepEqual(await page.drawn(), await people[0].drawn());
    assert.deepEqual((await page.drawn()).map(({ id }) => id), (await page.objects()).map(({ id }) => id));
    assert.deepEqual(page.failures, []);
    // Nothing was lost and nothing came twice: all that was added is there, and each word was said once.
    const { added, said, did } = sums[number];
    assert.deepEqual(added.filter((id) => done.objects[id] === undefined), []);
    const own = done.chat.filter(({ text }) => said.includes(text)).map(({ text }) => text);
    assert.deepEqual(own, said);
    for (const deed of ["note", "shape", "stroke", "move", "resize", "colour", "text", "remove", "undo", "redo", "edit", "done", "say"]) {
      assert.ok(did[deed] > 0, `there was a ${deed}: ${JSON.stringify(did)}`);
    }
  }
  // A third that comes now has the same.
  const third = await joinBoard(browser, people[1].network, { name: "Cleo", board: "one" });
  own(() => third.close());
  await third.isReady();
  assert.deepEqual(await third.board(), done);
  await third.isDrawn();
  assert.deepEqual(await third.drawn(), await people[0].drawn());
  await third.close();
  for (const page of people) await page.close();

  const figures = await Promise.all(servers.map(async (server) => Object.keys((await snapshot(server.url)).board.objects).length));
  const told = `${sums.map(({ count }) => count).join(" + ")} actions and ${2 * gestures} gestures, ${counts.cuts} troubles, ${figures[0]} objects, in ${((Date.now() - began) / 1_000).toFixed(1)} s`;
  return { done, told };
}

/** Does so many things in the page, one after the other, with pauses as short as they come. What it did stands in `work`. */
function work(seed, count, generator) {
  const random = new Function(`return ${generator}`)()(seed);
  const draw = (below) => Math.floor(random() * below);
  const { act, me } = whiteboard;
  const sum = (globalThis.work = { count: 0, added: [], said: [], did: {} });
  const any = (fits = () => true) => {
    const ids = Object.entries(whiteboard.shown()).filter(([, object]) => !object.deleted && fits(object));
    return ids.length === 0 ? undefined : ids[draw(ids.length)][0];
  };
  const isNote = ({ kind }) => kind === "note";
  const place = () => ({ x: draw(2_000) - 1_000, y: draw(1_200) - 600 });
  const size = () => ({ w: 60 + draw(300), h: 60 + draw(300) });
  const note = () => add("note", { ...place(), ...size(), color: draw(8), text: `note ${sum.count}` });
  const add = (kind, props) => sum.added.push(act.add(kind, props));
  const change = (props, fits) => {
    const id = any(fits);
    if (id !== undefined) act.set(id, props());
  };
  const deeds = {
    note,
    shape: () => add(draw(2) ? "rect" : "ellipse", { ...place(), ...size(), color: draw(8) }),
    stroke: () => {
      const points = Array.from({ length: 2 * (2 + draw(60)) }, () => draw(400) - 200);
      add("stroke", { ...place(), color: draw(8), width: 1 + draw(20), points });
    },
    move: () => change(place),
    resize: () => change(size, ({ kind }) => kind !== "stroke"),
    colour: () => change(() => ({ color: draw(8), z: draw(2_000_000) })),
    text: () => change(() => ({ text: `${sum.count} <b>&"\\\n ünï 🙂`.repeat(1 + draw(8)) }), isNote),
    remove: () => {
      const id = any();
      if (id !== undefined) act.remove(id);
    },
    undo: () => act.undo(),
    redo: () => act.redo(),
    edit: () => {
      const id = any((object) => isNote(object) && object.editing === null);
      if (id !== undefined) act.edit(id);
    },
    done: () => {
      const id = any((object) => object.editing === me);
      if (id !== undefined) act.done(id);
    },
    say: () => {
      sum.said.push(`${seed}: ${sum.count}`);
      act.say(sum.said.at(-1));
    },
  };
  const weighted = [
    ...["note", "shape", "stroke", "remove", "edit", "done"],
    ...["move", "move", "move", "resize", "resize", "colour", "colour", "text", "text", "text", "undo", "undo", "undo", "redo", "redo"],
  ];
  const step = () => {
    if (sum.count === count) return;
    const deed = sum.count % 20 === 19 ? "say" : sum.count < 4 ? "note" : weighted[draw(weighted.length)];
    deeds[deed]();
    sum.did[deed] = (sum.did[deed] ?? 0) + 1;
    sum.count += 1;
    // Some go together.
    if (draw(4) === 0) step();
    else setTimeout(step, draw(40));
  };
  setTimeout(step);
}

async function progress(people) {
  const counts = await Promise.all(people.map((page) => page.evaluate(() => globalThis.work.count)));
  return counts.reduce((sum, count) => sum + count);
}

async function allDone(people) {
  return (await progress(people)) === people.length * actions;
}

/** Something that networks do. */
async function trouble(network, random) {
  const draw = (below) => Math.floor(random() * below);
  const between = () => sleep(100 + draw(400));
  await between();
  switch (draw(6)) {
    case 0:
    case 1:
      network.cut();
      break;
    case 2:
      network.cutAfter(1 + draw(2_000));
      break;
    case 3:
      // What was sent is taken, and nobody hears of it.
      network.deafen();
      await between();
      network.heal();
      network.cut();
      break;
    case 4:
      network.swallow();
      await between();
      network.heal();
      network.cut();
      break;
    default:
      network.refuse();
      await between();
      network.heal();
  }
}

/** What a person does by mouse and keyboard, on a board that is in turmoil: whether it succeeds is not the question. */
async function byHand(page, random) {
  const draw = (below) => Math.floor(random() * below);
  const place = () => ({ x: 100 + draw(900), y: 120 + draw(600) });
  const pressOn = async (selector) => page.evaluate((selector) => document.querySelector(selector).click(), selector);
  for (let i = 0; i < gestures; i++) {
    await page.press("Escape");
    switch (i % 4) {
      case 0: {
        await pressOn('[data-tool="pen"]');
        await page.drag(place(), place(), place());
        break;
      }
      case 1: {
        await pressOn('[data-tool="select"]');
        const { x, y } = place();
        await page.tab.doubleClick(x, y);
        await page.type(`Hn ${i}`);
        await page.press("Escape");
        break;
      }
      case 2:
        await pressOn('[data-tool="select"]');
        await page.drag(place(), place());
        break;
      default:
        await pressOn('[data-tool="select"]');
        await page.press("Control+z");
        await page.press("Control+Shift+z");
    }
  }
}

/** The numbers of a seed, from 0 up to 1. It travels into pages as its source. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
