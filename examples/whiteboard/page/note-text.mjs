// How much text a note has room for.

import { counted } from "./words.mjs";

/** In characters as the server counts them: code points. */
export const mostText = 2_000;

/** As much of a text as a note takes, and what to say of the rest, if there is one. @param {string} text @returns {{ text: string, warning?: string }} */
export function fitted(text) {
  const characters = [...text.toWellFormed()];
  const more = characters.length - mostText;
  if (more <= 0) return { text: characters.join("") };
  return { text: characters.slice(0, mostText).join(""), warning: roomFor(`the last ${counted(more, "character is", "characters are")} left out`) };
}

/** @param {string} what */
export function roomFor(what) {
  return `A note has room for ${mostText.toLocaleString("en")} characters: ${what}.`;
}
