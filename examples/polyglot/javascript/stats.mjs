import { MEAN, MEDIAN } from "../names/names.mjs";

const numbers = process.argv.slice(2).map(Number).sort((one, other) => one - other);
const count = numbers.length;
const mean = count ? numbers.reduce((sum, number) => sum + number) / count : 0;
const median = count ? (numbers[(count - 1) >> 1] + numbers[count >> 1]) / 2 : 0;
console.log(`${MEAN} ${mean} ${MEDIAN} ${median}`);
