// What the page asks the server to do, beside the streams: by plain requests.

export async function ask(path, init) {
  const response = await fetch(path, init);
  if (response.status === 204) return null;
  const answer = await response.json();
  if (answer.control === "error") throw new Error(`${answer.message} (${answer.code})`);
  return answer;
}

export async function tell(path, message) {
  if (message === undefined) return ask(path, { method: "POST" });
  const headers = { "Content-Type": "application/json" };
  return ask(path, { method: "POST", headers, body: JSON.stringify(message) });
}
