// The page: its forms, and what they came to.

import { Server } from "./server.mjs";
import { Stream } from "./streams.mjs";

/** How many lines are kept. */
const longestLog = 200;

const at = (id) => document.getElementById(id);
const server = new Server();
let stream;
let expiresAt;
let renewals = 0;

function tell(id, text, tone = "") {
  at(id).textContent = text;
  at(id).dataset.tone = tone;
}

/** Does what was asked for, and shows why it could not be done. */
async function attempt(id, what) {
  try {
    await what();
  } catch (error) {
    tell(id, error.message, "wrong");
  }
}

function on(form, act) {
  at(form).addEventListener("submit", (event) => {
    event.preventDefault();
    act(event.target.elements);
  });
}

async function showUser() {
  const { name, by, rooms } = await server.me();
  tell("user", `You are ${name}, by ${server.way === "ticket" ? `${by} and ticket` : by}. Your rooms: ${rooms.join(", ") || "none"}.`);
}

on("login", ({ name, password, way }) =>
  attempt("user", async () => {
    await server.logIn(name.value, password.value, way.value);
    await showUser();
  }),
);

at("logout").addEventListener("click", () =>
  attempt("user", async () => {
    await server.logOut();
    tell("user", "Nobody any more.");
  }),
);

on("connect", ({ transport, room }) => {
  stream?.close();
  at("log").replaceChildren();
  renewals = 0;
  at("renewals").textContent = "0";
  tell("state", "Connecting.");
  let opened = 0;
  stream = new Stream(server, transport.value, room.value, {
    message: ({ id, data }) => note(id, `${data.by}: ${data.text}`),
    notice: (name, notice) => {
      if (notice.id) at("cursor").textContent = notice.id;
      const expires = notice.expires ?? notice.data?.expires;
      if (expires !== undefined) expiresAt = Date.now() + expires;
      const isRenewal = name === "reply" || (name === "welcome" && opened++ > 0);
      if (isRenewal) at("renewals").textContent = `${++renewals}`;
      if (name === "closing") note("", `closing: ${notice.message} (${notice.reason})`);
      if (name === "gap") note(notice.id, `gap: ${notice.reason}`);
      if (name === "error") note("", `error: ${notice.message} (${notice.code})`);
    },
    state: (text, isOver) => {
      tell("state", text, isOver && !text.startsWith("Left") ? "wrong" : "");
      if (isOver) expiresAt = undefined;
    },
  });
});

at("leave").addEventListener("click", () => stream?.close());

on("say", ({ note }) =>
  attempt("answer", async () => {
    const room = at("connect").elements.room.value;
    // A key of its own, so that sending it once more, after an answer that was lost, adds nothing.
    const { data } = await server.say(room, note.value, crypto.randomUUID?.() ?? `${Math.random()}`);
    note.value = "";
    tell("answer", `Said, as ${data.id}.`);
  }),
);

function note(id, text) {
  const line = document.createElement("p");
  const code = document.createElement("code");
  code.textContent = id ?? "";
  line.append(text, " ", code);
  if (id) at("cursor").textContent = id;
  at("log").append(line);
  while (at("log").children.length > longestLog) at("log").firstChild.remove();
  line.scrollIntoView({ block: "nearest" });
}

setInterval(() => {
  at("expires").textContent = expiresAt === undefined ? "–" : `${Math.max(0, Math.round((expiresAt - Date.now()) / 1_000))} s`;
}, 250);

// Whoever has a cookie yet need not log in again.
showUser().catch(() => {});
