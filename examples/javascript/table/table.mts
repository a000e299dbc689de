import kleur from "kleur";

export interface Row {
    name: string;
    count: number;
}

/** The rows as lines, the largest first, numbers below each other. */
export function lines(rows: readonly Row[]): string[] {
    const width = Math.max(0, ...rows.map((row) => row.name.length));
    return [...rows]
        .sort((one, other) => other.count - one.count)
        .map((row) => `${kleur.bold(row.name.padEnd(width))} ${row.count}`);
}
