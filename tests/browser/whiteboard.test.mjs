// Holds the two reducers of `examples/whiteboard` to each other: whatever is logged, the page's fold of it is the server's.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { applyOp, readBoard, writeBoard } from "../../examples/whiteboard/page/board.mjs";
import { buildExample, buildTimeout, startExample } from "./server.mjs";

const timeout = 120_000;

/** The most of each list that a board keeps is passed by this. */
const rounds = 50;

before(async () => buildExample("whiteboard"), { timeout: buildTimeout });

describe("whiteboard", () => {
  it("folds its log in the page as on the server, whatever is done, repeated and refused", { timeout }, async () => {
    const directory = await mkdtemp(join(tmpdir(), "whiteboard-"));
    const server = await startExample("whiteboard", { env: { DATA: join(directory, "boards.redb") } });
    try {
      const start = await snapshot(server.url);
      const editors = Array.from({ length: 4 }, (_, number) => new Editor(server.url, number));
      await Promise.all(editors.map((editor) => editor.work()));
      const end = await snapshot(server.url);
      const { ops, cursor } = await told(server.url, start.position);
      assert.equal(cursor, end.position);

      const board = readBoard(start.board);
      for (const op of ops) applyOp(board, op);
      const folded = JSON.parse(JSON.stringify(writeBoard(board)));
      // Some of it by name, so that one sees what differs.
      for (const part of ["deleted", "chat", "activity", "objects", "seen"]) assert.deepEqual(folded[part], end.board[part], part);
      assert.deepEqual(folded, end.board);
      assert.deepEqual(Object.keys(folded.seen), Object.keys(end.board.seen), "in this order");

      // It was worth the while: every bound was met, and everything was done.
      const { chat, activity, seen, objects } = end.board;
      assert.deepEqual([chat.length, activity.length, Object.keys(seen).length], [200, 100, 500]);
      const added = new Set(ops.flatMap(({ changes }) => changes.flatMap(({ add = [] }) => add)));
      assert.ok(added.size > Object.keys(objects).length, "some that were deleted are forgotten");
      const deeds = new Set(ops.flatMap(({ changes }) => changes.map((change) => Object.keys(change)[0])));
      assert.deepEqual([...deeds].sort(), ["add", "chat", "done", "edit", "forget", "set"]);
      assert.ok(Object.values(objects).some(({ editing }) => editing), "somebody edits");
      const refusals = new Set(editors.flatMap(({ refusals }) => refusals));
      for (const code of ["bad-change", "locked"]) assert.ok(refusals.has(code), code);
    } finally {
      await server.stop();
      await rm(directory, { recursive: true });
    }
  });
});

const address = (url, what) => `${url}/b/one/${what}`;

async function snapshot(url) {
  const response = await fetch(address(url, "snapshot"));
  assert.equal(response.status, 200);
  return response.json();
}

/** All ops behind a position, and the cursor behind them. */
async function told(url, position) {
  const ended = new AbortController();
  const response = await fetch(address(url, `stream?last-event-id=${position}`), { signal: ended.signal });
  let text = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece;
    // The opening, and that it has all.
    if (text.split("event: dualcast:heartbeat").length > 2) break;
  }
  ended.abort();
  assert.doesNotMatch(text, /dualcast:gap/);
  const blocks = text.split("\n\n");
  const field = (block, name) => block.match(new RegExp(`(?:^|\n)${name}: ([^\n]*)`))?.[1];
  const ops = blocks.filter((block) => field(block, "event") === "op");
  return {
    ops: ops.map((block) => JSON.parse(field(block, "data"))),
    cursor: blocks.map((block) => field(block, "id")).findLast((id) => id),
  };
}

/** Does what comes to its mind. Some of it is refused. */
class Editor {
  #url;
  #number;
  #key;
  #client;
  #n = 0;
  #made = 0;
  refusals = [];

  constructor(url, number) {
    [this.#url, this.#number] = [url, number];
  }

  async work() {
    for (let round = 0; round < rounds; round++) {
      // Of one user no more than 20 pages are known: with six rounds of four both bounds are met.
      if (round % 6 === 0) this.#key = randomBytes(32).toString("base64url");
      // A page that is loaded anew, so that many are seen.
      for (let page = 0; page < 4; page++) {
        this.#client = `client${this.#number}x${round}x${page}`;
        this.#n = 0;
        await this.#say(Array.from({ length: 24 }, () => this.#anything()));
      }
      await this.#say([this.#bad()]);
      await this.#say([{ edit: this.#anyId() }]);
      // Who is first here has it to the end.
      await this.#say([{ add: "shared", kind: "note", props: { x: 0, y: 0, w: 9, h: 9, color: 0, z: 0, text: "" } }, { edit: "shared" }]);
    }
    // There is no room for all of them.
    const points = Array.from({ length: 4_000 }, () => -99_999);
    for (let large = 0; large < 10; large++) {
      const id = `large${this.#number}x${large}`;
      await this.#say([{ add: id, kind: "stroke", props: { x: 0, y: 0, color: 0, z: 0, width: 1, points } }]);
      await this.#say([{ set: id, props: { deleted: true } }]);
    }
  }

  async #say(changes) {
    const op = { client: this.#client, n: ++this.#n, changes };
    // What is sent twice is done once.
    const times = chance(5) ? 2 : 1;
    for (let time = 0; time < times; time++) {
      const response = await fetch(`${address(this.#url, "live")}?name=Editor+${this.#number}&color=${this.#number}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${this.#key}` },
        body: JSON.stringify({ event: "op", data: op }),
      });
      const answer = await response.json();
      if (response.status === 429) await new Promise((resolve) => setTimeout(resolve, answer.retry + 10));
      else if (response.status !== 200) this.refusals.push(answer.code);
    }
  }

  #anything() {
    const id = this.#anyId();
    switch (draw(8)) {
      case 0:
        return { chat: `${draw(1_000)} <b>&"\\\n\u2028 ünï 🙂` };
      case 1:
      case 2:
        return this.#added();
      case 3:
        return { set: id, props: { deleted: true } };
      case 4:
        return chance(6) ? { set: id, props: { deleted: false } } : { set: id, props: { deleted: true, x: draw(100) } };
      case 5:
        return { set: id, props: { x: draw(2_000) - 1_000, z: draw(1_000), ...(id.startsWith("n") && chance(4) && { text: `text ${draw(3)}` }) } };
      case 6:
        return { done: id };
      default:
        return { set: id, props: {} };
    }
  }

  #added() {
    const kind = ["note", "stroke", "rect", "ellipse"][draw(4)];
    const place = { x: draw(1_000), y: -draw(1_000), color: draw(8), z: draw(1_000) };
    const size = { w: 8 + draw(100), h: 8 + draw(100) };
    const own = { note: { ...size, text: "" }, rect: size, ellipse: size, stroke: { width: 1 + draw(64), points: [0, 0, draw(9), -draw(9)] } };
    // Now and then one that somebody has made already.
    const id = chance(20) ? this.#anyId() : `${kind[0]}${this.#number}x${this.#made++}`;
    return { add: id, kind, props: { ...place, ...own[kind] } };
  }

  /** One of anybody's, or of nobody's. */
  #anyId() {
    return `${"nsre"[draw(4)]}${draw(4)}x${draw(this.#made + 1)}`;
  }

  #bad() {
    return [{ chat: "" }, { add: "a", kind: "note", props: {} }, { set: "A", props: {} }, { paint: 1 }][draw(4)];
  }
}

function draw(below) {
  return Math.floor(Math.random() * below);
}

function chance(of) {
  return draw(of) === 0;
}
