// What keeps people with a screen reader or with weak eyes from using a page, as far as axe-core sees it.

import assert from "node:assert/strict";
import axe from "axe-core";

/** Each hindrance with the elements that it is about. */
export async function findHindrances(page) {
  await page.evaluate(new Function(axe.source));
  const { violations, passes } = await page.evaluate(() => globalThis.axe.run());
  assert.ok(passes.some(({ id }) => id === "color-contrast"), "it looked at the colours");
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}
