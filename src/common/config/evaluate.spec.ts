import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { changedKeys } from "./changes.js";
import { configError, evaluate, formatProblem, originOf } from "./evaluate.js";
import { about, keysOf } from "./keys.js";
import { readToml } from "./layer.js";
import { nearest } from "./nearest.js";

const live = { text: "-", reload: "live" } as const;
const schema = z.strictObject({
  socket: z.string().default("/s").register(about, { text: "-", reload: "restart" }),
  log: z
    .strictObject({ level: z.enum(["info", "debug"]).default("info").register(about, live) })
    .prefault({}),
  network: z
    .record(
      z.string(),
      z.strictObject({
        vip: z.string().register(about, live),
        listen_port: z.int().min(0).max(9).default(0).register(about, live),
      }),
    )
    .default({}),
});

const entriesOf = (...files: string[]) =>
  files.flatMap((text, index) => {
    const { entries, problem } = readToml(`f${index + 1}`, text);
    assert.equal(problem, undefined);
    return entries;
  });
const run = (...files: string[]) => evaluate(schema, entriesOf(...files), "the manual");
const problems = (...files: string[]): string[] =>
  run(...files).problems.map((problem) => `${formatProblem(problem)} (${problem.hint})`);

test("of two files the later counts, key by key, and each key knows its file", () => {
  const { value, entries } = run(
    'socket = "/a"\n[network.n]\nvip = "1"',
    '[network.n]\nlisten_port = 3\n[log]\nlevel = "debug"',
  );
  assert.deepEqual(value, {
    socket: "/a",
    log: { level: "debug" },
    network: { n: { vip: "1", listen_port: 3 } },
  });
  assert.deepEqual(originOf(entries, ["network", "n", "vip"]), { file: "f1", line: 3 });
  assert.deepEqual(originOf(entries, ["network", "n", "listen_port"]), { file: "f2", line: 2 });
  assert.deepEqual(originOf(entries, ["network", "n"]), { file: "f1", line: 2 });
});

test("unknown keys are refused with the nearest known one", () => {
  assert.deepEqual(problems('sokcet = "/a"'), ["f1:1: unknown key sokcet (did you mean socket?)"]);
  assert.deepEqual(problems("[network.n]\nlisten-port = 1"), [
    "f1:2: unknown key network.n.listen-port (did you mean network.n.listen_port?)",
  ]);
  assert.deepEqual(problems('level = "info"'), ["f1:1: unknown key level (did you mean log.level?)"]);
  assert.deepEqual(
    problems('[logs]\nlevel = "info"').map((line) => line.replace(/.* \(/, "(")),
    ["(did you mean log?)", "(did you mean log?)"],
  );
  assert.deepEqual(problems("colour = 3"), ["f1:1: unknown key colour (all keys: the manual)"]);
});

test("a key in a config file is refused without being shown", () => {
  const [line = ""] = problems('[network.n]\nvip = "1"\npsk = "SECRET"');
  assert.match(line, /^f1:3: unknown key network\.n\.psk .*psk_file/);
  assert.ok(!line.includes("SECRET"));
});

test("wrong types and values name the key and what it must be", () => {
  assert.match(problems("socket = 3").join(), /^f1:1: socket must be a text/);
  assert.match(problems('[log]\nlevel = "loud"').join(), /^f1:2: log\.level must be one of "info", "debug"/);
  assert.match(problems('[network.n]\nvip = "1"\nlisten_port = 10').join(), /^f1:3: .* must be at most 9/);
  assert.match(
    problems('[network.n]\nvip = "1"\nlisten_port = 1.5').join(),
    /^f1:3: .* must be a whole number/,
  );
  assert.match(problems("socket = 2026-01-01").join(), /^f1:1: socket must be a text/);
  assert.match(problems("[network.n]").join(), /^f1:1: \[network\.n\] lacks vip/);
});

test("sections and values are told apart", () => {
  assert.match(problems("log = 3").join(), /log is a section, not a value/);
  assert.match(problems("[socket]").join(), /socket is a value, not a section/);
  assert.match(problems("[socket]\nx = 1").join(), /socket is a value, not a section/);
  assert.match(problems("[[network]]").join(), /network is a section, not a value/);
  assert.match(problems("[network]\nn = 3").join(), /network\.n is a section, not a value/);
});

test("names that mean something to JavaScript are names like others, or refused", () => {
  assert.match(problems('[network.__proto__]\nvip = "1"').join(), /unknown key/);
  const { value } = run('[network.constructor]\nvip = "1"');
  assert.deepEqual(Object.keys(value?.network ?? {}), ["constructor"]);
});

test("one error says how many more there are", () => {
  const [first, ...more] = run("a = 1\nb = 2\nc = 3").problems;
  assert.ok(first);
  const error = configError([first, ...more], "vpnd");
  assert.equal(error.exitCode, 2);
  assert.match(error.hint ?? "", /2 more: vpnd --check-config/);
});

test("changes are those of values, by when they take effect", () => {
  const keys = keysOf(schema);
  const before = run('[network.n]\nvip = "1"').entries;
  const after = run('socket = "/s"\n[log]\nlevel = "debug"\n[network.n]\nvip = "2"').entries;
  assert.deepEqual(changedKeys(keys, "live", before, after), ["log.level", "network.n.vip"]);
  assert.deepEqual(changedKeys(keys, "restart", before, after), []);
  assert.deepEqual(changedKeys(keys, "restart", before, run('socket = "/t"').entries), ["socket"]);
});

test("the nearest name is none when nothing is near", () => {
  assert.equal(nearest("listenPort", ["listen_port", "device"]), "listen_port");
  assert.equal(nearest("xyz", ["listen_port", "device"]), undefined);
  assert.equal(nearest("x".repeat(10_000), ["x"]), undefined);
});
