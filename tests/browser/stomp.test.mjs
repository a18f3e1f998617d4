// Holds `examples/stomp`, a protocol of its own over Dualcast's raw socket, to a client that others wrote.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { before, describe, it } from "node:test";
import { launchers } from "./browsers.mjs";
import { startCurl } from "./curl.mjs";
import { startProxy } from "./proxy.mjs";
import { buildExample, buildTimeout, startExample } from "./server.mjs";
import { connectPlainly, connectStomp } from "./stomp.mjs";
import { until } from "./until.mjs";

const timeout = 60_000;
const numbers = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}`);

before(async () => buildExample("stomp"), { timeout: buildTimeout });

describe("STOMP, by @stomp/stompjs", () => {
  /** A test with a server and a network of its own. Whatever its clients do, the server ends in good order. */
  const test = (title, body) =>
    it(title, { timeout }, async () => {
      const scene = { server: await startExample("stomp") };
      scene.network = await startProxy(scene.server.port);
      const clients = [];
      scene.connect = async (options) => {
        clients.push(await connectStomp(scene.network.url, options));
        return clients.at(-1);
      };
      try {
        await body(scene);
        for (const client of clients) await client.leave();
        assert.deepEqual(await scene.server.stop("SIGINT"), { code: 0, signal: null });
      } finally {
        for (const client of clients) await client.leave();
        await scene.network.close();
        await scene.server.stop();
      }
    });

  test("follows two destinations and speaks to both, with receipts", async ({ connect, server }) => {
    const [alice, bob] = [await connect(), await connect()];
    assert.equal(alice.version, "1.2");
    const [news, sports] = [alice.follow("/topic/news"), alice.follow("/topic/sports")];
    for (const followed of [news, sports]) await followed.begun();
    const heard = startCurl("-N", `${server.url}/topic/news`);
    await heard.notice("heartbeat");

    const id = await bob.send("/topic/news", "one", { headers: { event: "note" } });
    await bob.send("/topic/sports", "two");
    await alice.send("/topic/news", "three");
    assert.deepEqual(await news.bodies(2), ["one", "three"]);
    assert.deepEqual(await sports.bodies(1), ["two"]);
    const [first] = news.messages;
    assert.deepEqual([first["message-id"], first.destination, first.event], [id, "/topic/news", "note"]);
    assert.equal(first["content-type"], "text/plain");
    // One channel: a client of another transport hears the same under the same id.
    assert.deepEqual((await heard.messages(2))[0], { id, event: "note", data: "one" });
    await heard.kill();
  });

  test("hears nothing more behind the receipt of its UNSUBSCRIBE", async ({ connect }) => {
    const client = await connect();
    const [left, kept] = [client.follow("/topic/a"), client.follow("/topic/b")];
    await client.send("/topic/a", "1");
    await left.bodies(1);
    await left.end();
    await client.send("/topic/a", "2");
    await client.send("/topic/b", "3");
    assert.deepEqual(await kept.bodies(1), ["3"]);
    assert.deepEqual(await left.bodies(1), ["1"]);
    assert.deepEqual(client.strays, []);
  });

  test("gets every body and every destination as it was sent", async ({ connect }) => {
    const client = await connect();
    // No backslash before a letter of STOMP's escapes: there the client reads back something else than was written.
    const destination = "/topic/a:b\\x\r\nd/ä";
    const odd = client.follow(destination);
    await odd.begun();
    const json = JSON.stringify({ a: [1, "ü"] });
    const bytes = Uint8Array.from([0, 255, 0, 10, 128]);
    await client.send(destination, "a\0b\r\nü\u{1F600}");
    await client.send(destination, json, { headers: { "content-type": "application/json" } });
    await client.send(destination, bytes, { headers: { "content-type": "application/octet-stream" } });
    await client.send(destination, "");
    await odd.bodies(4);
    const [text, object, binary, empty] = odd.messages;
    assert.deepEqual([text.body, text.destination], ["a\0b\r\nü\u{1F600}", destination]);
    assert.deepEqual([object.body, object["content-type"]], [json, "application/json"]);
    assert.deepEqual([[...binary.bytes], binary["content-type"]], [[...bytes], "application/octet-stream"]);
    assert.deepEqual([empty.body, empty["content-length"]], ["", "0"]);
  });

  test("publishes a message once however often it is sent with its key", async ({ connect }) => {
    const client = await connect();
    const news = client.follow("/topic/news");
    const headers = { "idempotency-key": "k" };
    const ids = [];
    for (const _ of [1, 2]) ids.push(await client.send("/topic/news", "once", { headers }));
    await client.send("/topic/news", "end");
    assert.equal(ids[0], ids[1]);
    assert.deepEqual(await news.bodies(2), ["once", "end"]);
  });

  test("beats and is beaten to, and neither gives up on the other", async ({ connect }) => {
    const client = await connect({ heartbeatIncoming: 3_000, heartbeatOutgoing: 3_000 });
    // More of them than either would miss before it gives up, which is two.
    await until(() => client.beats.in >= 3 && client.beats.out >= 3, () => `there are beats: ${JSON.stringify(client.beats)}`);
    assert.deepEqual([client.closed, client.errors], [[], []]);
  });

  test("notices by missing beats that the network is gone, and comes back", async ({ connect, network }) => {
    const client = await connect({ heartbeatIncoming: 2_000, discardWebsocketOnCommFailure: true });
    const news = client.follow("/topic/news");
    await news.begun();
    network.blackhole();
    await until(() => client.closed.length > 0, () => "it gives its connection up");
    network.heal();
    await client.connections(2);
    await client.send("/topic/news", "1");
    assert.deepEqual(await news.bodies(1), ["1"]);
  });

  test("is cut again and again and misses nothing, and gets nothing twice", async ({ connect, network, server }) => {
    const client = await connect();
    const news = client.follow("/topic/news");
    await news.begun();
    const publisher = await connectStomp(server.url);
    let sent = 0;
    const send = async (count) => {
      for (const text of numbers(sent + 1, (sent += count))) await publisher.send("/topic/news", text);
    };
    // Before its first message: it has the receipt's id alone.
    network.refuse();
    await send(3);
    network.heal();
    await news.bodies(3);
    for (const round of [1, 2, 3]) {
      // In the middle of whatever it is that comes then.
      network.cutAfter(100 * round + 7);
      await send(10);
      network.cut();
      await send(2);
      await news.bodies(sent);
    }
    assert.deepEqual(await news.bodies(sent), numbers(1, sent));
    assert.ok(client.closed.length >= 4, `${client.closed.length} cuts`);
    await publisher.leave();
  });

  test("is told of a gap, and hears what comes after", async ({ connect }) => {
    const client = await connect();
    const lost = client.follow("/topic/news", { "last-event-id": "nonsense" });
    await lost.begun();
    await client.send("/topic/news", "1");
    await lost.bodies(2);
    const [gap, message] = lost.messages;
    assert.equal(gap.dualcast, "gap");
    const { channel, from, reason } = JSON.parse(gap.body);
    assert.deepEqual([channel, from, reason], ["topic.news", null, "unreadable"]);
    assert.deepEqual([message.body, message.dualcast], ["1", undefined]);
  });

  test("comes back after a restart, and is told what that cost", async ({ connect, server, network }) => {
    const client = await connect();
    const news = client.follow("/topic/news");
    await client.send("/topic/news", "1");
    await news.bodies(1);
    const { port } = server;
    assert.deepEqual(await server.stop("SIGINT"), { code: 0, signal: null });
    await until(() => client.closed.length > 0, () => "it is told of the shutdown");
    assert.equal(client.closed[0], 1012);
    const again = await startExample("stomp", { port });
    try {
      await client.connections(2);
      await client.send("/topic/news", "2");
      await news.bodies(3);
      const [, gap, message] = news.messages;
      assert.deepEqual([gap.dualcast, JSON.parse(gap.body).reason, message.body], ["gap", "epoch", "2"]);
      await client.leave();
      await network.close();
      assert.deepEqual(await again.stop("SIGINT"), { code: 0, signal: null });
    } finally {
      await again.stop();
    }
  });

  for (const version of ["1.0", "1.1", "1.2"]) {
    test(`speaks ${version}`, async ({ connect }) => {
      const client = await connect({ versions: [version] });
      assert.equal(client.version, version);
      const news = client.follow("/topic/news");
      await client.send("/topic/news", "one");
      assert.deepEqual(await news.bodies(1), ["one"]);
    });
  }

  test("is refused what is not spoken here, by an ERROR that names its receipt", async ({ connect }) => {
    for (const [act, message] of [
      [(client) => client.follow("/topic/a", { ack: "client", receipt: "r" }), /no ack but auto/],
      [(client) => client.follow("/queue/a", { receipt: "r" }), /begins with \/topic\//],
      [(client) => client.follow("/topic/", { receipt: "r" }), /segment/],
      [(client) => client.sendOnly({ destination: "/topic/a", body: "{", headers: { receipt: "r", "content-type": "application/json" } }), /EOF/],
      [(client) => client.sendOnly({ destination: "/topic/a", headers: { receipt: "r", transaction: "t" } }), /transactions/],
      [(client) => client.sendOnly({ destination: "/topic/a", headers: { receipt: "r", event: "dualcast:gap" } }), /event name/],
    ]) {
      const client = await connect({ reconnectDelay: 0 });
      act(client);
      await until(() => client.closed.length > 0, () => "it is closed");
      assert.match(client.errors[0].message, message);
      assert.deepEqual([client.errors[0]["receipt-id"], client.closed], ["r", [1008]]);
    }
  });

  test("has a bounded number of subscriptions", async ({ connect }) => {
    const client = await connect({ reconnectDelay: 0 });
    for (const number of numbers(1, 101)) client.follow(`/topic/${number}`);
    await until(() => client.closed.length > 0, () => "it is closed");
    assert.match(client.errors[0].message, /at most 100 subscriptions/);
  });
});

describe("STOMP, by hand", () => {
  const connect = "CONNECT\naccept-version:1.2\nhost:x\n\n\0";
  let server;
  const test = (title, body) =>
    it(title, { timeout }, async () => {
      server = await startExample("stomp");
      try {
        await body();
        assert.deepEqual(await server.stop("SIGINT"), { code: 0, signal: null });
      } finally {
        await server.stop();
      }
    });

  test("takes frames in pieces, and several at once", async () => {
    const plain = await connectPlainly(server.url);
    assert.equal(plain.protocol, "v12.stomp");
    const frames = `${connect}\n\nSUBSCRIBE\nid:1\ndestination:/topic/a\n\n\0SEND\ndestination:/topic/a\ncontent-length:3\n\na\0b\0`;
    for (const piece of frames.match(/[^]{1,7}/g)) plain.send(piece);
    await plain.says(/CONNECTED[^]*MESSAGE[^]*a\0b\0/);
    plain.send("SEND\ndestination:/topic/a\n\none\0SEND\ndestination:/topic/a\n\ntwo\0DISCONNECT\nreceipt:bye\n\n\0");
    assert.equal(await plain.closes(), 1000);
    assert.match(plain.text, /RECEIPT\nreceipt-id:bye\n\n\0$/);
  });

  test("lets STOMP 1.0 subscribe without an id", async () => {
    const plain = await connectPlainly(server.url, { protocols: [] });
    plain.send("CONNECT\n\n\0SUBSCRIBE\ndestination:/topic/a\n\n\0SEND\ndestination:/topic/a\n\none\0");
    await plain.says(/version:1\.0\n[^]*MESSAGE\nsubscription:\/topic\/a\ndestination:\/topic\/a\n[^]*one\0/);
    plain.send("UNSUBSCRIBE\ndestination:/topic/a\nreceipt:r\n\n\0");
    await plain.says(/RECEIPT\nreceipt-id:r\n/);
    await plain.leave();
  });

  test("refuses what it can't read, and says which versions it speaks", async () => {
    for (const [frames, expected] of [
      ["SEND\ndestination:/topic/a\n\n\0", /^ERROR\nmessage:expected CONNECT\nversion:/],
      ["CONNECT\naccept-version:3.0\n\n\0", /^ERROR\nmessage:only 1\.0,1\.1,1\.2 are spoken here\nversion:1\.0,1\.1,1\.2\n/],
      [`${connect}${connect}`, /ERROR\nmessage:CONNECT is not spoken here\n/],
      [`${connect}ACK\nid:1\n\n\0`, /ERROR\nmessage:ACK is not spoken here\n/],
      [`${connect}SUBSCRIBE\ndestination:/topic/a\n\n\0`, /ERROR\nmessage:SUBSCRIBE needs the header id\n/],
      [`${connect}UNSUBSCRIBE\nid:1\n\n\0`, /ERROR\nmessage:there is no subscription "1"\n/],
      [`${connect}SUBSCRIBE\nid:1\n\nbody\0`, /ERROR\nmessage:SUBSCRIBE has no body\n/],
      [`${connect}nonsense\nwithout a colon\n\n\0`, /ERROR\nmessage:a header has no colon\n/],
    ]) {
      const plain = await connectPlainly(server.url);
      plain.send(frames);
      assert.equal(await plain.closes(), 1008, frames);
      assert.match(plain.text, expected);
    }
  });

  test("ends a frame that has no end", async () => {
    const plain = await connectPlainly(server.url);
    for (const _ of [1, 2]) plain.send("A".repeat(40_000));
    await plain.closes();
    assert.match(plain.text, /a frame has at most 65536 bytes/);
  });

  test("ends a client that stops beating", async () => {
    const plain = await connectPlainly(server.url);
    plain.send("CONNECT\naccept-version:1.2\nheart-beat:1000,0\n\n\0");
    assert.equal(await plain.closes(), 1008);
    assert.match(plain.text, /ERROR\nmessage:nothing came within the time that was agreed on\n/);
  });

  test("keeps a client that beats but reads nothing for longer than it may be silent, and tells it all", async () => {
    const count = 400;
    const plain = await connectPlainly(server.url);
    // It may be silent for four seconds.
    plain.send("CONNECT\naccept-version:1.2\nheart-beat:2000,0\n\n\0SUBSCRIBE\nid:1\ndestination:/topic/a\nreceipt:r\n\n\0");
    await plain.says(/RECEIPT/);
    plain.hang();
    const beating = setInterval(() => plain.send("\n"), 500);
    // More than the kernel keeps for it.
    const publishers = [await connectStomp(server.url), await connectStomp(server.url)];
    const filling = "x".repeat(8_000);
    const share = count / publishers.length;
    const publish = async (publisher) => {
      for (const number of numbers(1, share)) await publisher.send("/topic/a", `${number}${filling}`);
    };
    const longerThanThat = new Promise((resolve) => setTimeout(resolve, 6_000));
    await Promise.all([longerThanThat, ...publishers.map(publish)]);
    plain.readOn();
    await until(() => plain.text.split("MESSAGE\n").length > count || plain.code, () => `${count} messages come`);
    clearInterval(beating);
    assert.equal(plain.code, undefined, plain.text.slice(-200));
    const ids = [...plain.text.matchAll(/message-id:\w+-(\d+)\n/g)].map(([, id]) => id);
    assert.deepEqual(ids, numbers(1, count));
    for (const publisher of publishers) await publisher.leave();
    await plain.leave();
  });

  test("refuses foreign pages, and protocols that are not STOMP", async () => {
    const foreign = await connectPlainly(server.url, { origin: "https://elsewhere.example" });
    assert.equal(foreign.refusal, 403);
    const other = await connectPlainly(server.url, { protocols: ["graphql-ws"] });
    assert.equal(other.refusal, 400);
    const own = await connectPlainly(server.url, { origin: server.url });
    await own.leave();
    assert.equal(own.code, 1005);
  });
});

for (const [name, launch] of Object.entries(launchers)) {
  describe(`STOMP, in ${name}`, () => {
    it("is spoken by the same client in a page", { timeout }, async () => {
      const bundle = createRequire(import.meta.url).resolve("@stomp/stompjs");
      const server = await startExample("stomp");
      const browser = await launch();
      try {
        const page = await browser.newPage(server.url);
        await page.evaluate(new Function(await readFile(bundle, "utf8")));
        const talk = () =>
          new Promise((resolve, reject) => {
            const heard = [];
            const client = new StompJs.Client({ brokerURL: `ws://${location.host}/stomp` });
            client.onConnect = () => {
              client.subscribe("/topic/page", ({ body }) => heard.push(body) === 2 && client.deactivate().then(() => resolve(heard)));
              for (const body of ["one\0", "zwei ü"]) client.publish({ destination: "/topic/page", body });
            };
            client.onStompError = ({ headers }) => reject(new Error(headers.message));
            client.activate();
          });
        assert.deepEqual(await page.evaluate(talk), ["one\0", "zwei ü"]);
        await page.close();
        assert.deepEqual(await server.stop("SIGINT"), { code: 0, signal: null });
      } finally {
        await browser.close();
        await server.stop();
      }
    });
  });
}
