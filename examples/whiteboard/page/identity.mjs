// Who the user is: whoever has the key. The page makes one once, and keeps it with the name and the colour that the user wants to have.

import { colorCount } from "./colors.mjs";
import { hasControl, isBlank } from "./names.mjs";
import { keep, recall } from "./storage.mjs";

const place = "whiteboard.identity";
const adjectives = ["Quiet", "Swift", "Bright", "Gentle", "Bold", "Merry", "Clever", "Patient", "Sunny", "Curious"];
const animals = ["Otter", "Heron", "Fox", "Badger", "Wren", "Lynx", "Hare", "Finch", "Seal", "Owl", "Robin", "Marten"];

/** @typedef {{ key: string, name: string, color: number }} Identity */

/** The user's identity, a new one at the first visit. Where nothing can be kept it lasts as long as the page. @returns {Identity} */
export function loadIdentity() {
  const kept = recall(place);
  const hasKey = /^[A-Za-z0-9_-]{43}$/.test(kept?.key ?? "");
  if (hasKey && nameProblem(kept.name ?? "") === undefined) {
    return { key: kept.key, name: kept.name, color: Number.isInteger(kept.color) && kept.color >= 0 && kept.color < colorCount ? kept.color : 0 };
  }
  // Whoever had a name that is one no more is still the same.
  const key = hasKey ? kept.key : newKey();
  const identity = { key, name: `${anyOf(adjectives)} ${anyOf(animals)}`, color: 1 + Math.floor(Math.random() * (colorCount - 1)) };
  saveIdentity(identity);
  return identity;
}

/** @param {Identity} identity */
export function saveIdentity(identity) {
  keep(place, identity);
}

/** What is wrong with a name, if anything. */
export function nameProblem(name) {
  const trimmed = name.trim();
  if (trimmed === "") return "A name has at least one character.";
  if ([...trimmed].length > 40) return "A name has at most 40 characters.";
  if (hasControl(trimmed)) return "A name has no control characters.";
  if (isBlank(trimmed)) return "A name has something to be seen.";
  return undefined;
}

/** What others know the user by: a part of the key's hash, as the server has it. @param {string} key */
export async function publicId(key) {
  if (!globalThis.crypto?.subtle) throw new Error("This page needs https, or localhost: a browser has no cryptography elsewhere.");
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)));
  return base64url(hash.slice(0, 16));
}

/** An id that no other page load has. @param {number} length */
export function randomId(length) {
  const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  // A letter first: a name that is all digits would lose its place among an object's keys.
  return [...bytes].map((byte, i) => letters[byte % (i === 0 ? 26 : 36)]).join("");
}

function newKey() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

/** @param {Uint8Array} bytes */
function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function anyOf(list) {
  return list[Math.floor(Math.random() * list.length)];
}
