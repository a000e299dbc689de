import assert from "node:assert/strict";
import test from "node:test";

import { lines } from "./table.mjs";

test("JavaScript uses what was TypeScript", () => {
    assert.equal(lines([{ name: "one", count: 1 }]).length, 1);
});
