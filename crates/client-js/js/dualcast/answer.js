// An answer of HTTP that is no stream: Dualcast's own, or somebody else's.

/** As much of an answer that is not Dualcast's as is worth telling, in characters. */
const LONGEST_TEXT = 200;

/**
 * What it says, in the form of a reply or an error of Dualcast's.
 *
 * @param {Response} response
 * @returns {Promise<{ status: number, control?: string, code?: string, message?: string, retry?: number, data?: any }>}
 */
export async function read(response) {
  const { status, headers } = response;
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    // A proxy's, say.
  }
  if (!answer?.control) answer = { message: text.slice(0, LONGEST_TEXT) };
  // A date is no number, and what is no number asks for nothing.
  const retry = Number(headers.get("retry-after")) * 1_000 || undefined;
  return { retry, ...answer, status };
}
