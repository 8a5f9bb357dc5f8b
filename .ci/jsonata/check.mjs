// Lets the reference implementation of JSONata make each evaluation again that the interpreter of the machines has
// made: the result is the same, or both raise an error. Every expression of the machines is among them.
//
// usage: check.mjs FOLDER MACHINE...
//   FOLDER   has the evaluations; tests/local-step-functions/src/expression/keep.rs has their format
//   MACHINE  a state machine's definition

import { createReadStream, readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";
import { createRequire } from "node:module";

const [folder, ...machines] = process.argv.slice(2);
const jsonata = createRequire(new URL("../../target/jsonata/", import.meta.url))("jsonata");
// As many as a run of all tests makes at least.
const EXPECTED = 10_000;
const MOST_SHOWN = 20;

const parsed = new Map();
const wrong = [];
let count = 0;

/// With the function that Step Functions adds to JSONata's own.
function compiled(expression) {
  const one = jsonata(expression);
  one.registerFunction("parse", (text) => JSON.parse(text), "<s:x>");
  return one;
}

async function evaluated({ expression, bindings }) {
  if (!parsed.has(expression)) parsed.set(expression, compiled(expression));
  try {
    return { result: await parsed.get(expression).evaluate(undefined, bindings) };
  } catch (error) {
    return { error: error.message };
  }
}

for (const file of readdirSync(folder)) {
  for await (const line of createInterface({ input: createReadStream(`${folder}/${file}`) })) {
    const evaluation = JSON.parse(line);
    const again = await evaluated(evaluation);
    // As JSON, without what JSONata adds to its arrays.
    const plain = again.result === undefined ? undefined : JSON.parse(JSON.stringify(again.result));
    const agrees = "error" in evaluation ? "error" in again : !("error" in again) && isDeepStrictEqual(plain, evaluation.result);
    if (!agrees) wrong.push(`${line}\n    the reference: ${JSON.stringify(again)}`);
    count += 1;
  }
}

/// The expressions of a definition; a placeholder stands for any text.
function* expressions(value) {
  if (typeof value === "string" && value.startsWith("{%")) yield value.slice(2, -2).trim();
  else if (value && typeof value === "object") for (const part of Object.values(value)) yield* expressions(part);
}

for (const machine of machines) {
  for (const expression of expressions(JSON.parse(readFileSync(machine, "utf8")))) {
    const texts = expression.split(/\$\{\w+\}/).map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
    const pattern = new RegExp(`^${texts.join(".*")}$`);
    if (![...parsed.keys()].some((one) => pattern.test(one))) wrong.push(`never evaluated: ${expression}`);
  }
}
if (count < EXPECTED) wrong.push(`only ${count} evaluations`);
console.log(wrong.slice(0, MOST_SHOWN).join("\n"));
console.log(`${count} evaluations of ${parsed.size} expressions made again by JSONata, ${wrong.length} wrong`);
process.exitCode = wrong.length ? 1 : 0;
