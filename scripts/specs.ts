/** The spec files that SPECS names, one a line, as one test file: run-tests.sh runs them in one process. Each is a suite, so that its hooks are its own. */
import { resolve } from "node:path";
import { describe } from "node:test";
import { pathToFileURL } from "node:url";

for (const file of (process.env.SPECS ?? "").split("\n"))
  describe(file, async () => void (await import(pathToFileURL(resolve(file)).href)));
