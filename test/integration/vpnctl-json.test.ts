import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { tinyGateway } from "./support/tiny-gateway.js";
import { vpnctl } from "./support/vpnctl-run.js";
import { mismatches, type Schema } from "./support/vpnctl-schema.js";
import { CannedServer } from "./support/vpnctl-server.js";

const folder = new URL("../../docs/schema/", import.meta.url).pathname;
const server = new CannedServer();
const key = Buffer.alloc(32, 9).toString("base64");
const keyFile = join(mkdtempSync(join(tmpdir(), "vpnctl-json-")), "key");
writeFileSync(keyFile, key, { mode: 0o600 });
const gateway = await tinyGateway();
const seen = new Set<string>();

before(() => server.start());
after(async () => {
  gateway.close();
  rmSync(dirname(keyFile), { recursive: true });
  await server.stop();
});

function schemaOf(name: string): Schema {
  const parsed: Schema = JSON.parse(readFileSync(join(folder, name), "utf8"));
  return parsed;
}

const lines = [
  "peers",
  "-n both peers",
  "-n once peers --watch",
  "peer nas",
  "peer remove nas",
  "networks",
  "network home",
  "status",
  "version",
  "allow tcp/22 --from nas,10.0.0.9 --dry-run",
  "deny udp/53 icmp --position 1",
  "deny --default",
  "rules",
  "rules remove 1",
  "rules clear --dry-run",
  "psk status",
  "psk generate",
  `psk set home --psk-file ${keyFile}`,
  `psk set home --psk-file ${keyFile} --dry-run`,
  "psk rotate home --out -",
  `probe 127.0.0.1:9 --psk-file ${keyFile}`,
  "stats",
  "stats --watch",
  "events",
  "events --watch",
  "metrics",
  `bug-report --out ${join(server.folder, "report.tar.gz")}`,
  "ping nas -c 1",
  "ping deaf -c 1",
  "ip",
  "ip nas",
  "wait",
  `join home --iex h --vip 10.0.0.1/16 --psk ${key}`,
  `join home --iex h --vip 10.0.0.1/16 --psk ${key} --dry-run`,
  "leave home --dry-run",
  "set home --mtu 1300",
  "set home --mtu 1300 --dry-run",
  "set --mtu 1400",
  "up home",
  "down --all",
  "kill-switch on --allow-lan --allow 192.0.2.5:443,nas.example:22",
  "kill-switch on --dry-run",
  "kill-switch status",
  "status",
  "plan",
  "kill-switch off",
  "kill-switch off --dry-run",
  "kill-switch status",
  "plan",
  "log query home --limit 3",
  "log tail --filter icmp",
  "log query --view talkers",
  "log query --view conversations",
  "log query --view connections",
  "log prune --before 30d --dry-run",
  "log replay --to nas",
  `log export --pcap ${join(server.folder, "log.pcap")}`,
  "footprint",
  "routes list",
  "routes offer 192.168.1.0/24 --as 10.8.0.0/24",
  "routes offer 192.168.1.0/24 --dry-run",
  "routes withdraw",
  "routes accept nas",
  "routes reject all 10.7.0.0/24",
  "gateway start --listen 8080 --keep 10m",
  "gateway start --fanqiang --padding --any-source --isolation shared",
  "gateway start --dry-run",
  "gateway clients",
  "gateway clients --watch",
  "gateway kick alice",
  "gateway user add bob --expires 30d --rate 1M --quota 1G/month",
  "gateway user list",
  "gateway user revoke bob",
  `gateway ping ws://127.0.0.1:${gateway.port}/ 93.184.216.34 --count 1`,
  "gateway stop",
  "gateway stop --dry-run",
  "exit-node list",
  "exit-node offer --to nas,10.0.0.3 --allow-host",
  "exit-node offer --dry-run",
  "exit-node withdraw",
  "exit-node use nas,10.0.0.3 --allow-lan --kill-switch",
  "exit-node use auto --dry-run",
  "exit-node off",
];

for (const line of lines)
  test(`JSON of ${line.replace(key, "KEY").replace(keyFile, "FILE").replace(String(gateway.port), "PORT")} fits its schema`, async () => {
    const { out } = await vpnctl(["--socket", server.socket, "--json", ...line.split(" ")]);
    const documents = out.trimEnd().split("\n");
    for (const text of documents) {
      const document: Record<string, unknown> = JSON.parse(text);
      assert.equal(Object.keys(document)[0], "schema");
      assert(!text.includes("null"), text);
      const id = String(document.schema);
      seen.add(id);
      assert.deepEqual(mismatches(schemaOf(`${id.replace("/", ".")}.json`), document), []);
    }
  });

test("every schema is used by a command", () => {
  const described = readdirSync(folder).filter((name) => name.endsWith(".json"));
  const used = [...seen].map((id) => `${id.replace("/", ".")}.json`);
  assert.deepEqual(described.sort(), used.sort());
});

test("the check itself finds faults", () => {
  const schema = schemaOf("vpnctl.wait.v1.json");
  const good = { schema: "vpnctl.wait/v1", network: "home", peersUp: 1 };
  assert.deepEqual(mismatches(schema, good), []);
  for (const bad of [
    { ...good, peersUp: -1 },
    { ...good, more: 1 },
    { ...good, network: 3 },
    { schema: "x" },
    [],
  ])
    assert(mismatches(schema, bad).length > 0, JSON.stringify(bad));
});
