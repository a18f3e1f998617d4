// What a page sends by Dualcast's own client: by WebSocket or by POST, with the same replies and errors; and what becomes of
// it when there is no connection, or when one is lost between a message and its answer.

import assert from "node:assert/strict";
import { openLivePage } from "./live.mjs";
import { inEachBrowser } from "./scene.mjs";
import { until } from "./until.mjs";

const path = "/live?channels=news";
const transports = ["ws", "sse"];

inEachBrowser((test) => {
  test("gets the same replies and errors by WebSocket and by POST", async ({ fixture, page }) => {
    const heard = {};
    for (const transport of transports) {
      // The other one keeps the stream open when the first is finished.
      const live = await page.connect(`/live?channels=${transport},other`, { transport });
      await live.opened();
      const replies = [];
      for (const data of ["text", { of: ["json", 1] }, null, undefined]) replies.push(await live.send("note", data));
      const messages = await live.messages(4);
      assert.deepEqual(replies, messages.map(({ id }) => ({ reply: { id } })));
      const key = "k".repeat(1_000);
      const errors = [await live.send("dualcast:mine", "x"), await live.send("", "x"), await live.send("note", "x", { key })];
      await fixture.finish(transport);
      errors.push(await live.send("note", "too late"));
      heard[transport] = { data: messages.map(({ event, data }) => [event, data]), errors: errors.map(({ error }) => [error.code, error.message]) };
      await live.close();
    }
    assert.deepEqual(heard.sse, heard.ws);
    assert.deepEqual(heard.ws.data.slice(0, 2), [["note", "text"], ["note", { of: ["json", 1] }]]);
    const codes = heard.ws.errors.map(([code]) => code);
    assert.deepEqual(codes, ["bad-message", "bad-message", "bad-message", "finished"]);
  });

  for (const transport of transports) {
    test(`sends a queued message once, though its answer was lost, on ${transport}`, async (scene) => {
      const { fixture, page } = scene;
      const live = await page.connect(path, { transport, whileAway: "queue" });
      await live.opened();
      const { id, told } = await sendUnanswered(scene, live, "once");
      assert.deepEqual(told, { reply: { id } });
      const after = await fixture.publish("news", "after");
      const messages = await live.messages(2);
      assert.deepEqual(messages.map(({ id, data }) => [id, data]), [[id, "once"], [after, "after"]]);
      await saidWholeness(live);
      if (transport === "sse") assert.deepEqual((await posts(fixture)).map(({ status }) => status), [200, 200]);
    });

    for (const [whileAway, outcome] of [["reject", "unconfirmed"], ["drop", undefined]]) {
      test(`does not send a message again whose answer is lost, with "${whileAway}", on ${transport}`, async (scene) => {
        const { fixture, page } = scene;
        const live = await page.connect(path, { transport, whileAway });
        await live.opened();
        const { id, told: { reply, error } } = await sendUnanswered(scene, live, "once");
        // The browser itself sends a POST again where a connection that it had kept was cut; the client knows nothing of it.
        if ((await posts(fixture)).length === 2) assert.deepEqual(reply, { id });
        else assert.deepEqual([reply, error?.code], [undefined, outcome]);
        await saidWholeness(live);
        await fixture.publish("news", "after");
        assert.deepEqual(await live.data(2), ["once", "after"]);
        assert.equal(await live.evaluate(({ unsent }) => unsent), 0);
      });
    }

    test(`rejects, drops or keeps what is sent while it is away, as the page wants it of each event, on ${transport}`, async (scene) => {
      const { fixture, network, page } = scene;
      const live = await page.connect(path, { transport, whileAway: { note: "queue", cursor: "drop" } });
      await live.opened();
      network.refuse();
      await live.told("state", { status: "waiting" });
      const waiting = [live.send("note", "1"), live.send("cursor", { x: 1 }), live.send("other", "2"), live.send("note", "3")];
      assert.equal((await waiting[2]).error.code, "away");
      assert.deepEqual(await waiting[1], { reply: undefined });
      await until(async () => (await live.evaluate(({ unsent }) => unsent)) === 2, () => "two wait");
      network.heal();
      const replies = await Promise.all([waiting[0], waiting[3]]);
      const messages = await live.messages(2);
      assert.deepEqual(messages.map(({ id, event, data }) => [{ reply: { id } }, event, data]), [
        [replies[0], "note", "1"],
        [replies[1], "note", "3"],
      ]);
      assert.equal(await live.evaluate(({ unsent }) => unsent), 0);
      assert.equal((await live.told("unsent", { value: 0 })).value, 0);
      assert.equal((await fixture.state()).head.split("-")[1], "2");
      await saidWholeness(live);
    });

    test(`keeps the order of what it sends, over a cut in the middle, on ${transport}`, async (scene) => {
      const { fixture, network, page } = scene;
      const live = await page.connect(path, { transport, whileAway: "queue" });
      await live.opened();
      const texts = Array.from({ length: 61 }, (_, index) => String(index));
      const sent = live.evaluate((live, texts) => Promise.all(texts.map((text) => live.send("note", text))), texts.slice(0, 60));
      await published(fixture, 10);
      network.cut();
      // There is a connection again, and what was lost waits yet for its second try: what comes now has to wait behind it.
      await live.opened({ count: 2 });
      const { reply } = await live.send("note", texts[60]);
      const replies = [...(await sent), reply];
      const messages = await live.messages(texts.length);
      assert.deepEqual(messages.map(({ data }) => data), texts);
      assert.deepEqual(messages.map(({ id }) => ({ id })), replies);
      const last = await fixture.publish("news", "last");
      assert.equal((await live.messages(texts.length + 1)).at(-1).id, last);
      await saidWholeness(live);
    });
  }

  for (const whileAway of ["reject", "drop"]) {
    test(`acts once where the browser itself sends a POST again, with "${whileAway}"`, async (scene) => {
      const { fixture, page } = scene;
      const live = await page.connect(path, { transport: "sse", whileAway });
      const expected = [];
      // A browser does so on a connection that it had used before. Which one it takes is its own affair: where that is new, it gives up, and so does the client.
      let isSentAgain = false;
      let times = 0;
      while (!isSentAgain) {
        assert.ok(times < 5, "a browser repeats a POST");
        await live.opened({ count: ++times });
        await live.send("note", "first");
        const before = (await posts(fixture)).length;
        const { id, told } = await sendUnanswered(scene, live, "once", { number: expected.length + 2 });
        expected.push("first", "once");
        isSentAgain = (await posts(fixture)).length === before + 2;
        if (isSentAgain) assert.deepEqual(told, { reply: { id } });
        else assert.equal(told.reply, undefined);
      }
      await saidWholeness(live, times);
      await fixture.publish("news", "after");
      assert.deepEqual(await live.data(expected.length + 1), [...expected, "after"]);
    });
  }

  test("does not take more messages than may wait", async (scene) => {
    const { network, page } = scene;
    const live = await page.connect(path, { whileAway: "queue", maxUnsent: 2 });
    await live.opened();
    network.refuse();
    await live.told("state", { status: "waiting" });
    const sent = [live.send("note", "1"), live.send("note", "2")];
    await until(async () => (await live.evaluate(({ unsent }) => unsent)) === 2, () => "two wait");
    assert.equal((await live.send("note", "3")).error.code, "queue-full");
    network.heal();
    assert.deepEqual((await Promise.all(sent)).map(({ error }) => error), [undefined, undefined]);
    assert.deepEqual(await live.data(2), ["1", "2"]);
  });

  test("rejects what waits when the page closes it", async ({ network, page }) => {
    const live = await page.connect(path, { whileAway: "queue" });
    await live.opened();
    network.refuse();
    await live.told("state", { status: "waiting" });
    const sent = live.send("note", "never");
    await live.told("unsent", { value: 1 });
    await live.close();
    assert.equal((await sent).error.code, "closed");
    network.heal();
  });

  for (const transport of transports) {
    test(`rejects a message that is too large, by itself, on ${transport}`, async ({ fixture, page }) => {
      const live = await page.connect(path, { transport, whileAway: "queue" });
      await live.opened();
      // Fewer letters than the server takes bytes, and more bytes.
      const { error } = await live.send("note", "é".repeat(40_000));
      assert.equal(error.code, "too-large");
      const { reply } = await live.send("note", "small");
      assert.deepEqual((await live.messages(1)).map(({ id, data }) => [id, data]), [[reply.id, "small"]]);
      assert.equal((await live.state()).status, "open");
      assert.equal((await fixture.requests("/live")).filter(({ method }) => method === "GET").length, 1);
    });
  }

  test("tells a message that can't be sent, and goes on", async ({ page }) => {
    const live = await page.connect(path);
    await live.opened();
    const failed = await live.evaluate(async (live) => {
      const circle = {};
      circle.of = circle;
      return Promise.all([circle, 1n].map((data) => live.send("note", data).catch((error) => error.name)));
    });
    assert.deepEqual(failed, ["TypeError", "TypeError"]);
    const { reply } = await live.send("note", "whole");
    assert.deepEqual((await live.messages(1)).map(({ id, data }) => [id, data]), [[reply.id, "whole"]]);
  });
}, openLivePage);

/**
 * Sends a message, the first that is published or that of this number, and loses its answer with the connection. Answers the id that
 * it has, and what became of it as the page is told.
 */
async function sendUnanswered({ fixture, network }, live, data, { number = 1 } = {}) {
  network.deafen();
  const sent = live.send("note", data);
  // The server has it, and its answer goes nowhere.
  const { head } = await published(fixture, number);
  network.heal();
  network.cut();
  return { id: head, told: await sent };
}

/** What was sent by POST, each time that it was. */
async function posts(fixture) {
  return (await fixture.requests("/live")).filter(({ method }) => method === "POST");
}

/** How things stand, once so many messages were published. */
async function published(fixture, count) {
  let state;
  const number = () => Number(state.head.split("-")[1]);
  await until(async () => ((state = await fixture.state()), number() >= count), () => `${count} were published: ${state.head}`);
  return state;
}

/** It was away so often, and has said each time that the page has all again. */
async function saidWholeness(live, times = 1) {
  const told = async () => (await live.heard()).filter(({ kind }) => ["recovered", "gap"].includes(kind)).map(({ kind }) => kind);
  await until(async () => (await told()).length >= times, () => `the page was told ${times} times that it has all`);
  assert.deepEqual(await told(), Array(times).fill("recovered"));
}
