import assert from "node:assert/strict";
import { test } from "node:test";
import { Pending } from "../page/pending.mjs";

test("an edit that is said again while nothing leaves is one, but not across its end", () => {
  const pending = new Pending("ada", { send: () => assert.fail("nothing leaves"), refused: assert.fail });
  pending.push([{ edit: "a1" }, { edit: "a1" }, { edit: "b1" }, { edit: "a1" }]);
  assert.deepEqual([...pending.changes()], [{ edit: "a1" }, { edit: "b1" }]);
  pending.push([{ done: "a1" }, { edit: "a1" }]);
  assert.equal(pending.unsent, 4);
});
