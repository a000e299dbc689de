import assert from "node:assert/strict";
import test from "node:test";

import kleur from "kleur";

import { lines } from "./table.mjs";

kleur.enabled = false;

test("the largest comes first", () => {
    assert.deepEqual(
        lines([
            { name: "one", count: 1 },
            { name: "three", count: 3 },
        ]),
        ["three 3", "one   1"],
    );
});

test("nothing is no line", () => {
    assert.deepEqual(lines([]), []);
});
