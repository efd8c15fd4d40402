import assert from "node:assert/strict";
import { test } from "node:test";
import { recordJson, recordLine } from "./log-text.js";
import { parseLogTime } from "./log-time.js";

const tcp = Buffer.from(
  "450001f400010000400600000a0900010a090002" + "303901bb00000001000000025018fffe00000000",
  "hex",
);
const record = {
  at: 1_800_000_000_123_456n,
  sent: 1_800_000_000_000_000n,
  sender: "alpha\u001b[31m",
  receiver: undefined,
  session: 7n,
  seq: 1n,
  packet: tcp,
  length: 500,
  payload: "not-kept" as const,
  offload: undefined,
};

test("a row is one line without a terminal's control characters, also when its payload was not kept", () => {
  assert.equal(
    recordLine(record),
    "2027-01-15T08:00:00.123456Z  alpha�[31m > nobody  10.9.0.1:12345 > 10.9.0.2:443 tcp P. seq 1 ack 2 win 65534, 460 bytes (not-kept)\n",
  );
  assert.match(recordLine({ ...record, packet: Buffer.alloc(0), length: 0 }), /no packet, 0 bytes\n$/);
});

test("a super-packet says how many packets it stands for", () => {
  const offload = Buffer.from("01013600640010000600", "hex");
  assert.match(recordLine({ ...record, offload }), /\(5 packets\) \(not-kept\)\n$/);
  assert.equal(recordJson({ ...record, offload }, "").packets, 5);
});

test("times are durations, dates, or RFC 3339 to the microsecond", () => {
  assert.deepEqual(parseLogTime("--since", "1h30m"), { secondsAgo: 5400 });
  const micros = BigInt(Date.UTC(2026, 2, 1, 14, 30)) * 1000n;
  assert.deepEqual(parseLogTime("--since", "2026-03-01T14:30:00.000042Z"), { micros: micros + 42n });
  assert.deepEqual(parseLogTime("--since", "2026-03-01 16:30+02:00"), { micros });
  const local = BigInt(new Date(2026, 2, 1).getTime()) * 1000n;
  assert.deepEqual(parseLogTime("--since", "2026-03-01"), { micros: local });
  for (const text of ["", "soon", "2026-13-01", "2026-03-01T25:00", "1;2", "-1h"]) {
    assert.throws(() => parseLogTime("--since", text), { code: "usage" }, text);
  }
});
