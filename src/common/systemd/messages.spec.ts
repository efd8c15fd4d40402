import assert from "node:assert/strict";
import { test } from "node:test";
import { checkFdName, reloadingMessage, statusText, watchdogPeriod } from "./messages.js";

test("a status is one line, whatever is in it", () => {
  assert.equal(statusText("a\nREADY=1\r\n\tb\u0007"), "a READY=1 b ");
  assert.equal(statusText("x".repeat(1000)).length, 200);
});

test("a reload tells its time", () => {
  assert.equal(reloadingMessage(12n), "RELOADING=1\nMONOTONIC_USEC=12");
});

test("names of descriptors are those that systemd takes", () => {
  assert.equal(checkFdName("tun-default"), "tun-default");
  for (const name of ["", "a:b", "a b", "a\nFDSTOREREMOVE=1", "é", "x".repeat(256)]) {
    assert.throws(() => checkFdName(name), RangeError);
  }
});

test("the watchdog watches only the process that it names", () => {
  assert.equal(watchdogPeriod({ WATCHDOG_USEC: "20000000", WATCHDOG_PID: "7" }, 7), 20_000);
  assert.equal(watchdogPeriod({ WATCHDOG_USEC: "20000000" }, 7), 20_000);
  assert.equal(watchdogPeriod({ WATCHDOG_USEC: "20000000", WATCHDOG_PID: "8" }, 7), undefined);
  for (const usec of [undefined, "", "0", "-1", "1s", "1e6"]) {
    assert.equal(watchdogPeriod({ WATCHDOG_USEC: usec }, 7), undefined);
  }
});
