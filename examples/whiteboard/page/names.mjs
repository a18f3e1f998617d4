// What people are called. The server refuses names that are none, but has not always done so, and what is logged is logged.

/** As who has no name is called. */
export const anonymous = "Somebody";

/** Whether something in it controls how others are shown: as `src/invisible.rs` has it. Joiners are in Persian names, and in faces. @param {string} name */
export function hasControl(name) {
  return /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(name);
}

/** Whether nothing of it is seen. A filler is a letter of which nothing is. @param {string} name */
export function isBlank(name) {
  return /^[\s\u200c\u200d\u115f\u1160\u2800\u3164\uffa0]*$/u.test(name);
}

/** A name as it is shown. @param {unknown} name */
export function shownName(name) {
  return typeof name !== "string" || hasControl(name) || isBlank(name) ? anonymous : name;
}
