/**
 * A reporter for `node --test`: only what failed, briefly. Of a long run often no more than the end of its output is kept, and the
 * name of a test does not tell why it failed. See run-tests.sh, which shows this last. JavaScript, because Node loads reporters before
 * the loader for TypeScript.
 */
import { relative } from "node:path";

/** Of the first failure in a file; those after it mostly follow from it. */
const linesOfFirst = 30;

/** @param {AsyncIterable<import("node:test/reporters").TestEvent>} source */
export default async function* failures(source) {
  const seen = new Set();
  for await (const event of source) {
    if (event.type !== "test:fail") continue;
    const { name, file = "", details } = event.data;
    const kind = details.error.failureType;
    // A suite that only says that something in it failed, which was told.
    if (kind === "subtestsFailed") continue;
    // A test that did not run has nothing to tell; the reason comes with the suite around it.
    const first = kind !== "cancelledByParent" && !seen.has(file);
    if (first) seen.add(file);
    const lines = why(details.error).slice(0, first ? linesOfFirst : 1);
    yield `${relative("", file)}: ${name}\n${lines.map((line) => `    ${line}\n`).join("")}`;
  }
}

/** The lines of the error, without blank ones and Node's own frames. */
function why({ cause, message }) {
  const text = cause instanceof Error ? cause.stack : String(cause ?? message);
  return text
    .split("\n")
    .filter((line) => line.trim() !== "" && !/^ +at .*(node:|<anonymous>\)$)/.test(line));
}
