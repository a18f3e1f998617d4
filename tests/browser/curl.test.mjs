// `curl -N` is a client, too: it hears a channel, it can be cut and come back, and it shows what goes over the wire.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { curl, startCurl } from "./curl.mjs";
import { buildFixture, buildTimeout, startExample, startFixture } from "./server.mjs";

const timeout = 60_000;

describe("curl", () => {
  before(buildFixture, { timeout: buildTimeout });

  /** A test with a fixture of its own, and the address of an event stream there. */
  const test = (title, body) =>
    it(title, { timeout }, async () => {
      const fixture = await startFixture();
      try {
        await body(fixture, `${fixture.url}/sse?channels=news`);
        await fixture.idle();
      } finally {
        await fixture.stop();
      }
    });

  test("hears what is published, as it is published", async (fixture, stream) => {
    const client = startCurl("-N", stream);
    const opening = await client.notice("heartbeat");
    assert.equal(opening.id, (await fixture.state()).head);
    assert.match(opening.retry, /^\d+$/);
    const id = await fixture.publish("news", "one", { event: "named" });
    assert.deepEqual(await client.messages(1), [{ id, event: "named", data: "one" }]);
    await fixture.publish("news", "two\nlines\0");
    assert.equal((await client.messages(2))[1].data, "two\nlines\0");
    await client.kill();
  });

  for (const [how, resume] of [
    ["in the header", (stream, id) => ["-H", `Last-Event-ID: ${id}`, stream]],
    ["in the query", (stream, id) => [`${stream}&last-event-id=${id}`]],
  ]) {
    test(`is cut and comes back with the last id ${how}`, async (fixture, stream) => {
      const first = startCurl("-N", stream);
      await first.notice("heartbeat");
      const ids = await fixture.publishAll("news", ["1", "2"]);
      const seen = await first.messages(2);
      await first.kill();
      ids.push(...(await fixture.publishAll("news", ["3", "4"])));

      const second = startCurl("-N", ...resume(stream, seen.at(-1).id));
      await second.messages(2);
      ids.push(await fixture.publish("news", "5"));
      seen.push(...(await second.messages(3)));
      await second.kill();
      assert.deepEqual(seen.map(({ data }) => data), ["1", "2", "3", "4", "5"]);
      assert.deepEqual(seen.map(({ id }) => id), ids);
    });
  }

  test("is told what was trimmed", async (fixture) => {
    const channel = "short.news"; // keeps three records
    const ids = await fixture.publishAll(channel, ["1", "2", "3", "4", "5"]);
    const client = startCurl("-N", "-H", `Last-Event-ID: ${ids[0]}`, `${fixture.url}/sse?channels=${channel}`);
    const messages = await client.messages(3);
    assert.deepEqual(messages.map(({ data }) => data), ["3", "4", "5"]);
    const gap = JSON.parse((await client.notice("gap")).data);
    assert.deepEqual(gap, { channel, from: ids[0], to: ids[1], reason: "trimmed" });
    await client.kill();
  });

  test("ends with a finished channel, and is answered 204 from then on", async (fixture, stream) => {
    const client = startCurl("-N", stream);
    await client.notice("heartbeat");
    await fixture.publish("news", "last");
    const end = await fixture.finish("news");
    assert.equal(await client.ended(), 0);
    assert.deepEqual(client.events.map(({ event, data }) => event ?? data), [
      "dualcast:heartbeat",
      "last",
      "dualcast:finished",
      "dualcast:closing",
    ]);

    const again = await curl("-N", "-w", "%{http_code}", "-H", `Last-Event-ID: ${end}`, stream);
    assert.equal(again.output, "204");
  });

  test("sees a chunked event stream that no cache may keep and no proxy hold back", async (fixture, stream) => {
    const client = startCurl("-N", "-v", stream);
    await client.notice("heartbeat");
    await client.kill();
    const head = client.complaints.toLowerCase();
    for (const line of [
      "< http/1.1 200 ok",
      "< content-type: text/event-stream",
      "< transfer-encoding: chunked",
      "< cache-control: no-cache, no-transform",
      "< x-accel-buffering: no",
    ]) {
      assert.ok(head.includes(`${line}\r\n`), `${line} in ${head}`);
    }
    assert.ok(!head.includes("content-length"), head);
  });

  test("hears the same over HTTP/1.0, without chunks", async (fixture, stream) => {
    const client = startCurl("-N", "-i", "--http1.0", stream);
    await client.notice("heartbeat");
    const id = await fixture.publish("news", "one");
    assert.deepEqual(await client.messages(1), [{ id, data: "one" }]);
    assert.match(client.output, /^HTTP\/1\.0 200 OK\r\n/);
    assert.doesNotMatch(client.output, /chunked/i);
    await fixture.finish("news");
    assert.equal(await client.ended(), 0);
  });

  test("gets the head alone by HEAD, at once", async (fixture, stream) => {
    const head = await curl("-I", stream);
    assert.match(head.output, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(head.output, /\r\ncontent-type: text\/event-stream\r\n/i);
    assert.equal((await fixture.state("news")).followers.news, 0);
  });

  test("is told that a WebSocket needs an upgrade", async (fixture) => {
    const refused = await curl("-i", `${fixture.url}/ws?channels=news`);
    assert.match(refused.output, /^HTTP\/1\.1 426 /);
    assert.match(refused.output, /\r\nupgrade: websocket\r\n/i);
  });
});

describe("the example hello", () => {
  let hello;
  before(async () => (hello = await startExample("hello")), { timeout: buildTimeout });
  after(async () => hello?.stop());

  it("streams what is posted, resumes, and ends at Ctrl-C with a client connected", { timeout }, async () => {
    const publish = async (text) => (await curl("-d", text, `${hello.url}/publish`)).output.trim();
    const first = startCurl("-N", `${hello.url}/sse`);
    await first.notice("heartbeat");
    const id = await publish("one");
    assert.deepEqual(await first.messages(1), [{ id, data: "one" }]);
    await first.kill();
    await publish("two");

    const second = startCurl("-N", "-H", `Last-Event-ID: ${id}`, `${hello.url}/sse`);
    assert.deepEqual((await second.messages(1)).map(({ data }) => data), ["two"]);
    assert.deepEqual(await hello.stop("SIGINT"), { code: 0, signal: null });
    assert.equal(JSON.parse((await second.notice("closing")).data).reason, "shutdown");
    assert.equal(await second.ended(), 0);
  });
});
