import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import type { NetworkEvent } from "../../core/events/event.js";
import { EventFile } from "./event-file.js";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "events-"));
  path = join(folder, "events.jsonl");
});
afterEach(() => rmSync(folder, { recursive: true }));

const event = (at: number): NetworkEvent => ({ at, type: "up", network: "home", message: `event ${at}` });

async function write(file: EventFile, ...times: number[]): Promise<void> {
  for (const at of times) file.append(event(at));
  await file.flush();
}

const times = async (file: EventFile): Promise<number[]> => (await file.load()).map(({ at }) => at);

test("events come back in order, and only their owner may read them", async () => {
  await write(new EventFile(path), 1, 2, 3);
  assert.deepEqual(await times(new EventFile(path)), [1, 2, 3]);
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test("nothing there is nothing wrong", async () => {
  const file = new EventFile(path);
  assert.deepEqual(await file.load(), []);
  assert.equal(file.trouble, undefined);
});

test("two files of bounded size are kept, the older one first", async () => {
  const file = new EventFile(path, { maxBytes: 1000 });
  for (let at = 0; at < 100; at++) await write(file, at);
  assert.ok(statSync(path).size <= 1000);
  assert.ok(statSync(`${path}.1`).size <= 1000);
  const kept = await times(file);
  assert.deepEqual(
    kept,
    [...kept].sort((a, b) => a - b),
  );
  assert.equal(kept.at(-1), 99);
  assert.ok(kept.length < 40);
});

test("a damaged line costs itself only, also when it lacks its end", async () => {
  await write(new EventFile(path), 1);
  appendFileSync(path, 'no event\n{"at":2,"type":"up","netw');
  await write(new EventFile(path), 3);
  assert.deepEqual(await times(new EventFile(path)), [1, 3]);
});

test("what cannot be written is counted, and the next event tries again", async () => {
  mkdirSync(path);
  const file = new EventFile(path);
  await write(file, 1, 2);
  assert.equal(file.failures, 2);
  assert.equal(file.trouble, "EISDIR");
  rmSync(path, { recursive: true });
  writeFileSync(path, "");
  await write(file, 3);
  assert.equal(file.trouble, undefined);
  assert.match(readFileSync(path, "utf8"), /event 3/);
});

test("a disk that never answers fills no memory", async () => {
  const file = new EventFile(path, { maxWaiting: 5 });
  // The first is on its way at once; of the others so many wait as may.
  for (let at = 0; at < 100; at++) file.append(event(at));
  await file.flush();
  assert.equal(file.failures, 100 - 1 - 5);
  assert.deepEqual(await times(file), [0, 1, 2, 3, 4, 5]);
});
