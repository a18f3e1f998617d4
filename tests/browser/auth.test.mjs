// Holds `examples/auth` to its promise: one user, however it shows who it is and by whichever transport it listens.

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { fetchTicket, fetchToken, logIn, nobody, stranger } from "./auth.mjs";
import { buildExample, buildTimeout, startExample } from "./server.mjs";

const timeout = 60_000;
const transports = ["sse", "ws"];
const foreign = "https://elsewhere.example";
const note = (data, key) => ({ event: "note", data, key });

before(async () => buildExample("auth"), { timeout: buildTimeout });

describe("auth", () => {
  /** A test with a server of its own, which ends in good order whatever its clients did. */
  const test = (title, body, { lifetime = 300 } = {}) =>
    it(title, { timeout }, async () => {
      const server = await startExample("auth", { env: { LIFETIME_SECONDS: `${lifetime}` } });
      const streams = [];
      const listen = async (user, ...args) => {
        streams.push(await user.listen(...args));
        return streams.at(-1);
      };
      try {
        await body({ url: server.url, listen });
        for (const stream of streams) await stream.leave();
        assert.deepEqual(await server.stop("SIGINT"), { code: 0, signal: null });
      } finally {
        for (const stream of streams) await stream.leave();
        await server.stop();
      }
    });

  for (const [way, enter] of Object.entries(logIn)) {
    for (const transport of transports) {
      test(`lets a user in by ${way} over ${transport}, who speaks by POST as the same`, async ({ url, listen }) => {
        const alice = await enter(url, "alice");
        const heard = await listen(alice, transport, `/rooms/lobby/${transport}`);
        const { status, data } = await alice.say("lobby", note("hello"));
        assert.equal(status, 200);
        assert.deepEqual(await heard.notes(1), [{ id: data.id, event: "note", data: { by: "alice", text: "hello" } }]);
        const { expires } = await heard.notice("welcome");
        assert.ok(expires > 0 && expires <= 300_000, `expires in ${expires} ms`);
      });
    }
  }

  test("says who it is, and by what", async ({ url }) => {
    for (const [way, by] of [["cookie", "cookie"], ["token", "token"], ["ticket", "ticket"]]) {
      const { name, by: told, rooms } = await (await logIn[way](url, "bob")).ask("/me", { method: "GET" });
      assert.deepEqual([name, told, rooms], ["bob", by, ["room.lobby"]]);
    }
  });

  test("never echoes a token that came among the subprotocols", async ({ url, listen }) => {
    const alice = await logIn.subprotocol(url, "alice");
    const heard = await listen(alice, "ws", "/rooms/lobby/ws");
    assert.equal(heard.protocol, "dualcast.v1");
    assert.ok(!JSON.stringify(heard.all).includes(alice.secret));
  });

  test("keeps the cookie from scripts and from the POSTs of other sites", async ({ url }) => {
    const body = new URLSearchParams({ name: "alice", password: "alice" });
    const { headers } = await fetch(`${url}/login`, { method: "POST", body, redirect: "manual" });
    assert.match(headers.get("set-cookie"), /^login=[0-9a-f]{32}; Max-Age=(29\d|300); Path=\/; HttpOnly; SameSite=Lax$/);
    const server = await startExample("auth", { env: { SECURE_COOKIES: "1" } });
    const secure = await fetch(`${server.url}/login`, { method: "POST", body, redirect: "manual" });
    assert.match(secure.headers.get("set-cookie"), /; Secure$/);
    await server.stop();
  });

  test("refuses who shows nothing, something wrong, or something of another kind", async ({ url, listen }) => {
    const { secret: cookie } = await logIn.cookie(url, "alice");
    const token = await fetchToken(url, "alice");
    const ticket = () => fetchTicket(url, { Authorization: `Bearer ${token}` });
    for (const user of [
      nobody(url),
      stranger(url, { headers: { Authorization: `Bearer ${cookie}` } }),
      stranger(url, { headers: { Authorization: `Basic ${token}` } }),
      stranger(url, { headers: { Cookie: `login=${token}` } }),
      stranger(url, { headers: { Cookie: `xlogin=${cookie}` } }),
      stranger(url, { query: `?ticket=${token}` }),
      stranger(url, { headers: { Authorization: `Bearer ${await ticket()}` } }),
      // What is shown first counts: a good cookie beside it doesn't help.
      stranger(url, { headers: { Authorization: "Bearer wrong", Cookie: `login=${cookie}` } }),
    ]) {
      for (const transport of transports) {
        assert.equal((await listen(user, transport, `/rooms/lobby/${transport}`)).status, 401);
      }
      const { status, code, headers } = await user.say("lobby", note("x"));
      assert.deepEqual([status, code, headers.get("www-authenticate")], [401, "unauthenticated", "Bearer"]);
      for (const path of ["/tickets", "/tokens/renew", "/logout"]) assert.equal((await user.ask(path)).status, 401);
    }
    const wrong = await nobody(url).ask("/tokens", { body: { name: "alice", password: "bob" } });
    assert.deepEqual([wrong.status, wrong.code], [401, "bad-login"]);
  });

  test("takes a ticket once, and for a stream or a message alone", async ({ url, listen }) => {
    const alice = await logIn.token(url, "alice");
    const once = stranger(url, { query: `?ticket=${await fetchTicket(url, { Authorization: `Bearer ${alice.secret}` })}` });
    assert.equal((await listen(once, "sse", "/rooms/lobby/sse")).status, 200);
    assert.equal((await listen(once, "sse", "/rooms/lobby/sse")).status, 401);
    const byTicket = await logIn.ticket(url, "root");
    for (const path of ["/tickets", "/tokens/renew", "/logout", "/users/alice/logout"]) {
      assert.equal((await byTicket.ask(path)).status, 403, path);
    }
    for (const method of ["PUT", "DELETE"]) {
      assert.equal((await byTicket.ask("/rooms/lobby/members/bob", { method })).status, 403);
    }
  });

  test("refuses foreign pages whatever the browser sends along", async ({ url, listen }) => {
    const alice = await logIn.cookie(url, "root");
    for (const transport of transports) {
      assert.equal((await listen(alice, transport, `/rooms/lobby/${transport}`, { origin: foreign })).status, 403);
    }
    assert.equal((await alice.say("lobby", note("x"), { Origin: foreign })).code, "foreign-origin");
    for (const [path, method] of [
      ["/login", "POST"],
      ["/logout", "POST"],
      ["/tokens", "POST"],
      ["/tokens/renew", "POST"],
      ["/tickets", "POST"],
      ["/users/bob/logout", "POST"],
      ["/rooms/lobby/members/bob", "PUT"],
      ["/rooms/lobby/members/bob", "DELETE"],
    ]) {
      const { status, code } = await alice.ask(path, { method, headers: { Origin: foreign } });
      assert.deepEqual([status, code], [403, "foreign-origin"], path);
    }
    // Nothing of it was done.
    assert.equal((await alice.say("lobby", note("x"), { Origin: url })).status, 200);
    const bob = await logIn.token(url, "bob");
    assert.equal((await listen(bob, "ws", "/rooms/lobby/ws")).status, 101);
  });

  test("appends once what comes with one key from one user, by whichever way", async ({ url, listen }) => {
    const [alice, again, bob] = [await logIn.cookie(url, "alice"), await logIn.token(url, "alice"), await logIn.token(url, "bob")];
    const heard = await listen(alice, "ws", "/rooms/lobby/ws");
    const { data: first } = await alice.say("lobby", note("once", "k"));
    const { data: second } = await again.say("lobby", note("once", "k"));
    const { data: third } = await heard.ask(note("once", "k"));
    assert.deepEqual([second, third], [first, first]);
    const { data: others } = await bob.say("lobby", note("bob's", "k"));
    assert.notDeepEqual(others, first);
    assert.deepEqual((await heard.notes(2)).map(({ data }) => data), [{ by: "alice", text: "once" }, { by: "bob", text: "bob's" }]);
    await alice.say("lobby", note("end"));
    assert.equal((await heard.notes(3)).at(-1).data.text, "end");
  });

  test("answers a message with the same code by POST and by WebSocket", async ({ url, listen }) => {
    const alice = await logIn.token(url, "alice");
    const heard = await listen(alice, "ws", "/rooms/lobby/ws");
    for (const [message, expected] of [[{ event: "dance" }, "unknown-event"], [note(1), "bad-data"]]) {
      assert.equal((await heard.ask(message)).code, expected);
      assert.equal((await alice.say("lobby", message)).code, expected);
    }
  });

  test("ends a session with its time, and lets it come back with a new token", async ({ url, listen }) => {
    const alice = await logIn.token(url, "alice");
    const streams = [];
    for (const transport of transports) streams.push(await listen(alice, transport, `/rooms/lobby/${transport}`));
    for (const stream of streams) assert.equal(await stream.ended(), "expired");
    assert.equal(streams[1].code, 4004);
    for (const transport of transports) {
      assert.equal((await listen(alice, transport, `/rooms/lobby/${transport}`)).status, 401);
    }
    const again = await logIn.token(url, "alice");
    for (const transport of transports) await listen(again, transport, `/rooms/lobby/${transport}`);
  }, { lifetime: 5 });

  test("lets a WebSocket renew its time on the live connection, by a token of the same user", async ({ url, listen }) => {
    const alice = await logIn.cookie(url, "alice");
    const old = await listen(alice, "sse", "/rooms/lobby/sse");
    const renewed = await listen(alice, "ws", "/rooms/lobby/ws");
    const { token, expires } = await alice.ask("/tokens/renew");
    assert.ok(expires > 0);
    assert.ok((await renewed.ask({ control: "token", token })).data.expires > 0);
    for (const wrong of ["x", alice.secret, await fetchToken(url, "bob")]) {
      assert.equal((await renewed.ask({ control: "token", token: wrong })).code, "bad-token");
    }
    // As often as it takes until what was opened with it, and not renewed, is over.
    let hasEnded = false;
    const ending = old.ended().then((reason) => (assert.equal(reason, "expired"), (hasEnded = true)));
    let newest = token;
    while (!hasEnded) {
      ({ token: newest } = await stranger(url, { headers: { Authorization: `Bearer ${newest}` } }).ask("/tokens/renew"));
      await renewed.ask({ control: "token", token: newest });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await ending;
    const { data } = await stranger(url, { headers: { Authorization: `Bearer ${newest}` } }).say("lobby", note("later"));
    assert.equal((await renewed.notes(1))[0].id, data.id);
    // And then it isn't renewed any more.
    assert.equal(await renewed.ended(), "expired");
  }, { lifetime: 5 });

  test("ends every session of who logs out, on both transports, and nobody else's", async ({ url, listen }) => {
    const users = [];
    for (const enter of Object.values(logIn)) users.push(await enter(url, "alice"));
    const ended = [];
    for (const user of users) {
      for (const transport of transports) ended.push(await listen(user, transport, `/rooms/lobby/${transport}`));
    }
    ended.push(await listen(users[0], "ws", "/ws"));
    const bob = await logIn.token(url, "bob");
    const kept = await listen(bob, "sse", "/rooms/lobby/sse");

    const out = await users[0].ask("/logout");
    assert.equal(out.status, 204);
    assert.match(out.headers.get("set-cookie"), /^login=; Max-Age=0; /);
    for (const stream of ended) {
      assert.equal(await stream.ended(), "disconnected");
      assert.equal((await stream.notice("closing")).reconnect, false);
      assert.ok(stream.code === undefined || stream.code === 4005);
    }
    for (const user of users.slice(0, 3)) {
      for (const transport of transports) assert.equal((await listen(user, transport, `/rooms/lobby/${transport}`)).status, 401);
      assert.equal((await user.say("lobby", note("x"))).status, 401);
    }
    const { data } = await bob.say("lobby", note("still here"));
    assert.equal((await kept.notes(1))[0].id, data.id);
  });

  test("lets an administrator put somebody out, and nobody else", async ({ url, listen }) => {
    const [alice, bob, root] = [await logIn.token(url, "alice"), await logIn.token(url, "bob"), await logIn.cookie(url, "root")];
    const heard = await listen(bob, "ws", "/rooms/lobby/ws");
    for (const [path, method] of [["/users/bob/logout", "POST"], ["/rooms/lobby/members/bob", "DELETE"], ["/rooms/staff/members/alice", "PUT"]]) {
      assert.equal((await alice.ask(path, { method })).status, 403);
    }
    assert.equal((await heard.ask(note("still here"))).control, "reply");
    assert.equal((await root.ask("/users/bob/logout")).status, 204);
    assert.equal(await heard.ended(), "disconnected");
    assert.equal((await bob.say("lobby", note("x"))).status, 401);
  });

  test("takes the right to a room back on every connection", async ({ url, listen }) => {
    const [bob, root] = [await logIn.token(url, "bob"), await logIn.token(url, "root")];
    await root.ask("/rooms/staff/members/bob", { method: "PUT" });
    const streams = [];
    for (const transport of transports) streams.push(await listen(bob, transport, `/rooms/lobby/${transport}`));
    const joined = await listen(bob, "ws", "/ws");
    for (const channel of ["room.lobby", "room.staff"]) {
      assert.equal((await joined.ask({ control: "subscribe", channel })).control, "reply");
    }

    assert.equal((await root.ask("/rooms/lobby/members/bob", { method: "DELETE" })).status, 204);
    for (const stream of streams) assert.equal(await stream.ended(), "revoked");
    assert.equal(streams[1].code, 4006);
    for (const transport of transports) assert.equal((await listen(bob, transport, `/rooms/lobby/${transport}`)).status, 403);
    assert.equal((await bob.say("lobby", note("x"))).code, "forbidden");
    // The others that it had joined it hears as before.
    assert.equal((await joined.notice("unsubscribed")).channel, "room.lobby");
    assert.equal((await joined.ask({ control: "subscribe", channel: "room.lobby" })).code, "forbidden");
    const { data } = await root.say("staff", note("for the staff"));
    await root.say("lobby", note("for the lobby"));
    assert.equal((await joined.notes(1))[0].id, data.id);
    await root.ask("/rooms/lobby/members/bob", { method: "PUT" });
    assert.equal((await listen(bob, "sse", "/rooms/lobby/sse")).status, 200);
  });

  test("lets nobody into a room by its name", async ({ url, listen }) => {
    const bob = await logIn.token(url, "bob");
    for (const id of ["staff", "lobby.staff", "..%2Fstaff", "lobby%2Estaff", "%00", "LOBBY", "lobby%20", "*", "%3E"]) {
      for (const transport of transports) {
        assert.equal((await listen(bob, transport, `/rooms/${id}/${transport}`)).status, 403, id);
      }
      assert.equal((await bob.say(id, note("x"))).code, "forbidden", id);
    }
    const choosing = await listen(bob, "ws", "/ws");
    for (const [channel, code] of [["room.staff", "forbidden"], ["room", "forbidden"], ["lobby", "forbidden"], ["room.*", "bad-channel"], ["room..staff", "bad-channel"]]) {
      assert.equal((await choosing.ask({ control: "subscribe", channel })).code, code, channel);
    }
  });

  test("slows down who guesses passwords", async ({ url }) => {
    const tries = Array.from({ length: 30 }, () => nobody(url).ask("/tokens", { body: { name: "alice", password: "x" } }));
    const statuses = (await Promise.all(tries)).map(({ status }) => status);
    assert.ok(statuses.includes(401) && statuses.includes(429), `${statuses}`);
    await fetchToken(url, "bob");
  });
});
