import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { configFiles } from "../../scripts/generate-config.js";
import { changedKeys } from "../../src/common/config/changes.js";
import { type Key, keysOf } from "../../src/common/config/keys.js";
import { readToml } from "../../src/common/config/layer.js";
import { showConfig } from "../../src/common/config/show.js";
import { vpndSchema } from "../../src/daemon/core/config/schema.js";
import { evaluateSettings } from "../../src/daemon/core/config/settings.js";
import { evaluateSettings as evaluateIexd, iexdSchema } from "../../src/iex/core/config.js";

/** What stands behind a single "#" is config. */
const uncommented = (text: string): string => text.replace(/^#(?=[a-z[])/gm, "");
const example = (name: string): string => readFileSync(`packaging/${name}.toml.example`, "utf8");
const values = (keys: readonly Key[]): Key[] => keys.filter((key) => key.kind === "value");

const programs = [
  { name: "vpnd", keys: keysOf(vpndSchema), evaluate: evaluateSettings },
  { name: "iexd", keys: keysOf(iexdSchema), evaluate: evaluateIexd },
];

test("examples and the table of keys are what the schemas give", () => {
  for (const [path, text] of configFiles()) assert.equal(readFileSync(path, "utf8"), text, path);
});

for (const { name, keys, evaluate } of programs) {
  test(`${name}: the example as it is changes nothing`, () => {
    const { entries, problem } = readToml("example", example(name));
    assert.equal(problem, undefined);
    const evaluated = evaluate(entries);
    assert.deepEqual(evaluated.problems, []);
    assert.deepEqual(evaluated.settings, evaluate([]).settings);
  });

  test(`${name}: the example has every key, with its default or a value that is taken`, () => {
    const { entries, problem } = readToml("example", uncommented(example(name)));
    assert.equal(problem, undefined);
    const evaluated = evaluate(entries);
    assert.deepEqual(evaluated.problems, []);
    for (const key of values(keys)) {
      const found = entries.find(
        ({ path }) =>
          path.length === key.path.length &&
          path.every((part, index) => key.path[index] === "*" || key.path[index] === part),
      );
      assert.ok(found, `${key.path.join(".")} is not in the example`);
      if (key.default !== undefined) assert.deepEqual(found.value, key.default, key.path.join("."));
    }
  });

  test(`${name}: every key says what it is and whether SIGHUP applies it`, () => {
    for (const key of values(keys)) {
      assert.ok(key.text !== "" && key.reload !== undefined, key.path.join("."));
      assert.ok(key.default !== undefined || key.example !== undefined, key.path.join("."));
    }
  });

  test(`${name}: what is shown reads back as what is in force`, () => {
    const { entries } = readToml("example", uncommented(example(name)));
    const before = evaluate(entries);
    const shown = readToml("shown", showConfig(keys, before.entries));
    assert.equal(shown.problem, undefined);
    const after = evaluate(shown.entries);
    assert.deepEqual(after.problems, []);
    for (const kind of ["live", "restart"] as const) {
      assert.deepEqual(changedKeys(keys, kind, before.entries, after.entries), []);
    }
  });
}
