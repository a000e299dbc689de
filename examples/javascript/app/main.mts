#!/usr/bin/env node
import { lines } from "../table/table.mjs";

const counts = new Map<string, number>();
for (const word of process.argv.slice(2)) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
}
console.log(lines([...counts].map(([name, count]) => ({ name, count }))).join("\n"));
