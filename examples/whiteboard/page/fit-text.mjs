// How large a note's text is: as large as fits, down to what can just be read. Computed from the widths of its words, so that nothing has to be
// laid out to find it.

const sizes = [28, 24, 20, 17, 15, 13, 11];

/** For a word to stay whole the text is made smaller, but not smaller than this. */
const leastForWhole = 15;

/** How high a line is, as a share of the size. */
export const lineHeight = 1.3;

/**
 * @param {string} text
 * @param {{ w: number, h: number }} room without the padding
 * @param {(word: string) => number} widthOf a word's width at the size 1
 * @returns {{ size: number, isCut: boolean }} `isCut`: not all of it is seen
 */
export function fitText(text, room, widthOf) {
  const lines = text.split("\n").map((line) => line.split(/(?<=\s)/).map(widthOf));
  const longest = Math.max(...text.split(/\s+/).map(widthOf));
  const fits = (size) => heightOf(lines, room.w / size) * size * lineHeight <= room.h;
  const isWhole = (size) => size >= leastForWhole && longest * size <= room.w;
  const size = sizes.find((size) => fits(size) && isWhole(size)) ?? sizes.find(fits);
  return { size: size ?? sizes.at(-1), isCut: size === undefined };
}

/** How many lines it takes, where a line has room for so much. A word that is wider is broken. */
function heightOf(lines, room) {
  let count = 0;
  for (const words of lines) {
    let used = 0;
    count += 1;
    for (const width of words) {
      if (used > 0 && used + width > room) {
        count += 1;
        used = 0;
      }
      used += width;
      while (used > room) {
        count += 1;
        used -= room;
      }
    }
  }
  return count;
}
