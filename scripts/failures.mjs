/**
 * A reporter for `node --test`: only what failed, briefly. Of a long run often no more than the end of its output is kept, and the
 * name of a test does not tell why it failed. See run-tests.sh, which shows this last. JavaScript, because Node loads reporters before
 * the loader for TypeScript.
 */
import { relative } from "node:path";

/** Of the first failure in a suite; those after it mostly follow from it. */
const linesOfFirst = 45;

/** @param {AsyncIterable<import("node:test/reporters").TestEvent>} source */
export default async function* failures(source) {
  const seen = new Set();
  /** Of the test that is told of and those around it, the outermost first. */
  const names = [];
  for await (const { type, data } of source) {
    if (type === "test:start") names.splice(data.nesting, names.length, data.name);
    if (type !== "test:fail") continue;
    const { name, nesting, file = "", details } = data;
    const kind = details.error.failureType;
    // A suite that only says that something in it failed, which was told.
    if (kind === "subtestsFailed") continue;
    // The file is where a test is defined, which may be a frame that many suites share.
    const around = [relative("", file), ...names.slice(0, nesting)].join(": ");
    const suite = nesting === 0 ? `${around}: ${name}` : around;
    // A test that did not run has nothing to tell; the reason comes with the suite around it.
    const first = kind !== "cancelledByParent" && !seen.has(suite);
    if (first) seen.add(suite);
    const lines = why(details.error).slice(0, first ? linesOfFirst : 1);
    yield `${around}: ${name}\n${lines.map((line) => `    ${line}\n`).join("")}`;
  }
}

/** The lines of the error, without blank ones and Node's own frames. */
function why({ cause, message }) {
  const text = cause instanceof Error ? cause.stack : String(cause ?? message);
  return text
    .split("\n")
    .filter((line) => line.trim() !== "" && !/^ +at .*(node:|<anonymous>\)$)/.test(line));
}
