// What the page asks the server to do, beside the streams: by plain requests.

import { Unanswered } from "./unanswered.mjs";

const answerTimeout = 10_000;

export async function ask(path, init) {
  const { status, text } = await send(path, init);
  if (status === 204) return null;
  const answer = read(text);
  if (answer?.control === "error") throw new Error(`${answer.message} (${answer.code})`);
  if (status >= 400 || answer === undefined) throw new Error(`${text || "no answer that makes sense"} (${status})`);
  return answer;
}

export async function tell(path, message) {
  if (message === undefined) return ask(path, { method: "POST" });
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(message) });
}

async function send(path, init) {
  try {
    const response = await fetch(path, { signal: AbortSignal.timeout(answerTimeout), ...init });
    return { status: response.status, text: await response.text() };
  } catch {
    throw new Unanswered("no answer came from the server");
  }
}

/** Nothing, where it isn't JSON. */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
