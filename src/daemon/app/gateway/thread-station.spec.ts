import assert from "node:assert/strict";
import { test } from "node:test";
import { VpnError } from "../../../common/errors.js";
import type { Knock } from "../../io/gateway/server.js";
import type { ControlCalls, Verdict } from "./station-calls.js";
import { ThreadStation } from "./thread-station.js";

/** A thread that speaks as a station does, without an addon: it admits one client for each `renew`, and breaks down at `measure`. */
const thread = (more: string) =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`
      import { parentPort, workerData } from "node:worker_threads";
      let last = 0;
      const answer = (call, value) => parentPort.postMessage({ answer: call, value });
      const does = {
        prepare: (call) => answer(call),
        open: (call, [fd]) => answer(call, fd),
        responds: (call) => answer(call, true),
        release: (call, [id]) => answer(call, { fd: id + workerData.mtu }),
        close: (call) => answer(call),
        end: (call) => answer(call),
        renew(call, [{ cert }]) {
          parentPort.postMessage({ call: 1, method: "admit", args: [{ remote: cert }] });
          parentPort.postMessage({ call: 0, method: "refused", args: ["something"] });
          answer(call);
        },
        measure() { throw new Error("broken down"); },
      };
      parentPort.on("message", ({ call, method, args, answer }) => {
        if (method !== undefined) does[method](call, args);
        else parentPort.postMessage({ call: 0, method: "ended", args: [answer, { code: "x", message: "y" }, true] });
      });
      ${more}`)}`,
  );

class Control implements ControlCalls {
  readonly said: string[] = [];
  #told: () => void = () => {};

  async admit({ remote }: Knock): Promise<Verdict> {
    this.#say(`admit ${remote}`);
    return { refuse: 404 };
  }
  ended(id: number): void {
    this.#say(`ended ${id}`);
  }
  refused(why: string): void {
    this.#say(`refused ${why}`);
  }
  lost(error: Error): void {
    this.#say(`lost ${error.message}`);
  }
  async until(count: number): Promise<void> {
    while (this.said.length < count)
      await new Promise<void>((resolve) => {
        this.#told = resolve;
      });
  }
  #say(what: string): void {
    this.said.push(what);
    this.#told();
  }
}

const setup = { destinations: { closed: [], open: [] }, mtu: 1000, padding: false, anySource: false };
const farewell = { code: 1000, text: "" };
const make = (control: Control, more = "") =>
  new ThreadStation(setup, control, (error) => control.lost(error), thread(more));

test("it is asked and asks; one that breaks down says nothing more, and can be opened again", {
  timeout: 20_000,
}, async () => {
  const control = new Control();
  const station = make(control);
  await station.prepare();
  await station.open(7, undefined);
  assert.deepEqual(await station.release(5, farewell), { fd: 1005 });
  await station.renew({ cert: "one", key: "" });
  await control.until(3);
  assert.deepEqual(control.said, ["admit one", "refused something", "ended 1"]);
  assert.deepEqual(await station.measure(), []);
  await control.until(4);
  assert.equal(control.said[3], "lost broken down");
  assert.deepEqual(await station.release(5, farewell), {});
  assert.ok(station.responds());
  await station.prepare();
  assert.deepEqual(await station.release(6, farewell), { fd: 1006 });
  await station.close(farewell);
  await station.end();
  assert.equal(control.said.length, 4, "an end that was asked for is no loss");
});

test("one that owes a sign of life does not respond", { timeout: 20_000 }, async () => {
  const control = new Control();
  const station = make(control, "does.responds = () => {};");
  await station.prepare();
  assert.ok(station.responds());
  assert.ok(!station.responds());
  await station.end();
});

test("a thread that cannot be loaded is told", { timeout: 20_000 }, async () => {
  const control = new Control();
  const station = make(control, 'throw new Error("no addon");');
  await assert.rejects(station.prepare(), /no addon/);
  await control.until(1);
  await station.end();
});

test("errors keep their words and codes", { timeout: 20_000 }, async () => {
  const fault = '{ code: "conflict", message: "the port is in use", hint: "another" }';
  const station = make(
    new Control(),
    `does.open = (call) => parentPort.postMessage({ answer: call, fault: ${fault} });`,
  );
  await station.prepare();
  await assert.rejects(station.open(3, undefined), (error) => {
    assert.ok(error instanceof VpnError);
    assert.deepEqual([error.code, error.message, error.hint], ["conflict", "the port is in use", "another"]);
    return true;
  });
  await station.end();
});
