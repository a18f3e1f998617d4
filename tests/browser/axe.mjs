// What keeps people with a screen reader or with weak eyes from using a page, as far as axe-core sees it.

import assert from "node:assert/strict";
import axe from "axe-core";

/**
 * Each hindrance with the elements that it is about. Of the colours in a modal dialog, which lies over all else, axe-core can say nothing:
 * `isModal`. `rules` are all, unless they are named.
 */
export async function findHindrances(page, { isModal = false, rules } = {}) {
  await page.evaluate(new Function(axe.source));
  const { violations, passes } = await page.evaluate((rules) => globalThis.axe.run(rules ? { runOnly: rules } : {}), rules);
  assert.ok(isModal || passes.some(({ id }) => id === "color-contrast"), "it looked at the colours");
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}
