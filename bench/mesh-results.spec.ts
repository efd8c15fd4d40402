import assert from "node:assert/strict";
import { test } from "node:test";
import { bestPeer, type MeshRun, ratio, rowsOf, type Values, verdicts } from "./mesh-results.js";

let round = 0;
function run(contestant: string, values: Values, more: Partial<MeshRun> = {}): MeshRun {
  round += 1;
  const noise = { steal: 0, others: 0 };
  return { link: "veth", contestant, round, mtu: 1400, values, noise, clean: true, errors: [], ...more };
}

test("medians are of the clean runs only", () => {
  const runs = [
    run("vpnd", { tcp: 10 }),
    run("vpnd", { tcp: 30 }),
    run("vpnd", { tcp: 1000 }, { clean: false }),
    run("vpnd", { tcp: 5 }, { link: "1g" }),
  ];
  const [row, ...rest] = rowsOf(runs, "veth");
  assert.deepEqual(rest, []);
  assert.deepEqual(row?.values.tcp, { median: 20, least: 10, most: 30 });
  assert.deepEqual([row?.cleanRuns, row?.runs], [2, 3]);
});

test("without clean runs all count, and the row says so", () => {
  const [row] = rowsOf([run("raw", { tcp: 7 }, { clean: false })], "veth");
  assert.equal(row?.values.tcp?.median, 7);
  assert.equal(row?.cleanRuns, 0);
});

test("values that were not measured are absent, not zero", () => {
  const rows = rowsOf([run("tinc", { tcp: 1, smallPackets: Number.NaN }), run("raw", { tcp: 0 })], "veth");
  assert.equal(rows[0]?.values.smallPackets, undefined);
  assert.equal(ratio(rows, "smallPackets", "tinc", "raw"), undefined);
  assert.equal(ratio(rows, "tcp", "tinc", "raw"), undefined, "nothing is divided by zero");
  assert.equal(ratio(rows, "tcp", "raw", "tinc"), 0);
});

test("the best peer is neither ours nor the kernel", () => {
  const rows = rowsOf(
    ["vpnd", "raw", "vxlan", "openvpn", "tinc"].map((name, index) =>
      run(name, { ping: index + 1, tcp: 9 - index }),
    ),
    "veth",
  );
  assert.equal(bestPeer(rows, "ping", "least"), "openvpn");
  assert.equal(bestPeer(rows, "ping", "most"), "tinc");
  assert.equal(bestPeer(rows, "retransmits", "most"), undefined);
});

test("verdicts: reached, missed, not measured", () => {
  const runs = [
    run("raw", { tcp: 100, tcpBack: 100 }, { link: "1g" }),
    run("vpnd", { tcp: 94, tcpBack: 93.9 }, { link: "1g" }),
    run("vpnd", { tcp: 60, tcp4: 57, programCpuPerGb: 2, ping: 115, smallPackets: 170 }),
    run("wireguard-go", { tcp: 20.1, programCpuPerGb: 6, ping: 200, smallPackets: 60 }),
    run("openvpn", { ping: 100, smallPackets: 100 }),
  ];
  const found = verdicts(runs);
  const of = (link: string, part: string) =>
    found.find((one) => one.link === link && one.claim.startsWith(part));
  assert.equal(of("1g", "one TCP stream, over raw")?.reached, true);
  assert.equal(of("1g", "one TCP stream, other")?.reached, false);
  assert.equal(of("veth", "one TCP stream, over wireguard-go")?.reached, false);
  assert.equal(of("veth", "one TCP stream, over openvpn")?.reached, undefined);
  assert.equal(of("veth", "four")?.reached, true);
  assert.equal(of("veth", "packets")?.value, 1.7);
  assert.equal(of("veth", "average ping")?.reached, true, "a limit that is met exactly is reached");
  assert.equal(of("veth", "processor")?.reached, false);
  assert.ok(!found.some((one) => one.link === "nooffload"), "no verdict on a link that nobody measured");
});
