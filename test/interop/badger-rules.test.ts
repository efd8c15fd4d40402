/**
 * A genuine Badger node panics on what its TUN refuses, so it gets handshakes, IP packets, close_notify and nothing else; and
 * 1-byte datagrams outside DTLS only as the paper has them.
 */
import assert from "node:assert/strict";
import type { Host, Lab } from "../lab/lab.js";
import { type Daemon, iexd, iexPort, vpnd } from "../lab/programs.js";
import { labSuite } from "../lab/suite.js";
import { ping } from "../lab/traffic.js";
import { BadgerNode } from "./badger-node.js";
import { classify, contentTypes, type Datagram, type DtlsRecord, plainLength } from "./dtls-records.js";
import { foreignSuite, opensslClient, requirePrograms } from "./foreign-peers.js";
import { parseIp } from "./ip-packet.js";

const psk = "badger badger badger";
const nodePort = 3000;

/** One vpnd and one Badger node in a network and with a server of their own. */
interface Pair {
  a: Daemon;
  badger: BadgerNode;
  badgerHost: Host;
}

let pairs = 0;

labSuite<Lab>(
  "badger-rules",
  async (lab) => {
    await requirePrograms("openssl", "tcpdump");
    return lab;
  },
  (step) => {
    async function pair(
      lab: Lab,
      own: string,
      theirs: string,
      options: { mtu?: number; psk?: string } = {},
    ): Promise<Pair> {
      pairs += 1;
      const server = await lab.publicHost(`server${pairs}`);
      await iexd(server);
      const badgerHost = await lab.publicHost(`badger${pairs}`);
      const badger = await BadgerNode.start(badgerHost, {
        server: { address: server.address, port: iexPort },
        virtualIp: theirs,
        peer: own,
        port: nodePort,
        psk,
        dialAfterPunches: 2,
      });
      const a = await vpnd(await lab.publicHost(`vpnd${pairs}`));
      await a.join({
        iex: `${server.address}:${iexPort}`,
        psk: options.psk ?? psk,
        vip: `${own}/24`,
        badger: true,
        ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
      });
      return { a, badger, badgerHost };
    }

    async function trafficBothWays({ a, badger }: Pair, theirs: string): Promise<void> {
      const peer = await a.peerUp(theirs);
      assert.equal(peer.path, "direct");
      assert.equal(peer.foreign, true);
      assert.equal(peer.cipher, foreignSuite);
      const there = await ping(a.host, theirs);
      assert.equal(there.received, there.sent, there.output);
      badger.ping("a ping of the Badger node");
      await badger.until(() => badger.plain.includes("a ping of the Badger node"), 10_000, "it is answered");
    }

    async function goodbye({ a, badger }: Pair): Promise<void> {
      await a.ok(["leave"]);
      await badger.until(() => badger.lines.some((line) => line.type === "over"), 10_000, "close_notify");
    }

    step("a Badger node with the larger address dials us: punched until then, never after", async (lab) => {
      const scenery = await pair(lab, "10.40.0.2", "10.40.0.10");
      const { badger } = scenery;
      await trafficBothWays(scenery, "10.40.0.10");
      const maps = badger.maps;
      await badger.until(() => badger.maps >= maps + 3, 30_000, "three more maps");
      await trafficBothWays(scenery, "10.40.0.10");
      await goodbye(scenery);

      const datagrams = badger.datagrams.map(classify);
      assertOnlyBadger(datagrams, badger.plain, "10.40.0.2", "10.40.0.10");
      const connected = firstData(datagrams);
      assert.ok(zeros(datagrams.slice(0, connected)) >= 2, "it was punched");
      assert.equal(zeros(datagrams.slice(connected)), 0, "it was punched after it was connected");
    });

    step("a Badger node with the smaller address is dialled: only kept open, not punched", async (lab) => {
      const scenery = await pair(lab, "10.41.0.10", "10.41.0.2");
      const { badger } = scenery;
      await trafficBothWays(scenery, "10.41.0.2");
      const keptOpen = () => zeros(badger.datagrams.map(classify)) >= 2;
      await badger.until(keptOpen, 40_000, "two keep-alives");
      await trafficBothWays(scenery, "10.41.0.2");
      await goodbye(scenery);

      const datagrams = badger.datagrams.map(classify);
      assertOnlyBadger(datagrams, badger.plain, "10.41.0.10", "10.41.0.2");
      assert.equal(zeros(datagrams.slice(0, firstData(datagrams))), 0, "the leader does not punch");
    });

    step("a peer made by hand with a shell and openssl, as docs/interop.md has it", async (lab) => {
      const server = await lab.publicHost("server-by-hand");
      await iexd(server);
      const a = await vpnd(await lab.publicHost("vpnd-by-hand"));
      await a.join({ iex: `${server.address}:${iexPort}`, psk, vip: "10.44.0.1/24", badger: true });
      const host = await lab.publicHost("hand");
      const heartbeats = `exec 3<>/dev/udp/${server.address}/${iexPort}
        while printf '{"VirtualIP":"10.44.0.9"}' >&3; do sleep 5; done`;
      host.spawn("heartbeats", "bash", ["-c", heartbeats]);
      const listed = await a.peer("10.44.0.9", () => true, 20_000, "on the map");
      assert.notEqual(listed.state, "up");
      const port = await portOf(a);
      const client = opensslClient(host, `${a.host.address}:${port}`, { identity: "badger", psk });
      const up = await a.peerUp("10.44.0.9");
      assert.equal(up.foreign, true);
      await ping(a.host, "10.44.0.9", { count: 1, waitSeconds: 1 });
      await client.receive(Buffer.from([0x45, 0, 0, 84]), "our ping");
      await client.close();
      await a.peer("10.44.0.9", (peer) => peer.state !== "up", 15_000, "closed");
    });

    for (const [title, own, theirs] of [
      ["it dials", "10.42.0.2", "10.42.0.10"],
      ["we dial", "10.43.0.10", "10.43.0.2"],
    ] as const) {
      step(`another PSK than the Badger node's never comes up: ${title}`, async (lab) => {
        const { a, badger } = await pair(lab, own, theirs, { psk: "another" });
        const wrong = await a.peer(
          theirs,
          (peer) => peer.reason?.code === "wrong-psk",
          40_000,
          "with reason wrong-psk",
        );
        assert.notEqual(wrong.state, "up");
        assert.equal(badger.plain.length, 0);
        const datagrams = badger.datagrams.map(classify);
        assert.ok(datagrams.every((datagram) => datagram.kind !== "other"));
        assert.equal(dataRecords(datagrams).length, 0);
        await a.ok(["leave"]);
      });

      step(`MTU 1500 as in the paper, in fragments outside: ${title}`, async (lab) => {
        const scenery = await pair(lab, own, theirs, { mtu: 1500 });
        const { a, badger, badgerHost } = scenery;
        await a.peerUp(theirs);
        const filter = "udp and ip[6:2] & 0x3fff != 0";
        const capture = badgerHost.spawn("tcpdump", "tcpdump", ["-lnvi", "eth0", filter]);
        await capture.until(() => capture.log.includes("listening on"), 10_000, "it listens");
        const result = await ping(a.host, theirs, { size: 1472, dontFragment: true });
        assert.equal(result.received, result.sent, result.output);
        for (const line of [`${a.host.address}.`, `${badgerHost.address}.${nodePort} >`]) {
          await capture.until(() => capture.log.includes(line), 10_000, `fragments from ${line}`);
        }
        await capture.stop();
        await goodbye(scenery);
        const datagrams = badger.datagrams.map(classify);
        assertOnlyBadger(datagrams, badger.plain, own, theirs);
        const largest = Math.max(...dataRecords(datagrams).map(plainLength));
        assert.equal(largest, 1500);
      });
    }
  },
);

/** UDP port of the only network. */
async function portOf(daemon: Daemon): Promise<number> {
  const { listenPort } = await daemon.json<{ listenPort?: number }>(["network", "default"]);
  assert.ok(listenPort, "vpnctl shows the port");
  return listenPort;
}

function dataRecords(datagrams: readonly Datagram[]): DtlsRecord[] {
  return datagrams
    .flatMap((datagram) => (datagram.kind === "dtls" ? datagram.records : []))
    .filter((record) => record.type === contentTypes.applicationData);
}

/** Index of the first datagram with application data. */
function firstData(datagrams: readonly Datagram[]): number {
  const at = datagrams.findIndex((datagram) => dataRecords([datagram]).length > 0);
  assert.ok(at >= 0, "no application data was seen");
  return at;
}

function zeros(datagrams: readonly Datagram[]): number {
  return datagrams.filter((datagram) => datagram.kind === "zero").length;
}

/** @param plain what the DTLS program made of the application data, one after the other */
function assertOnlyBadger(datagrams: readonly Datagram[], plain: Buffer, own: string, theirs: string): void {
  for (const datagram of datagrams)
    if (datagram.kind === "other") assert.fail(`not for a Badger: ${datagram.hex}`);
  const records = datagrams.flatMap((datagram) => (datagram.kind === "dtls" ? datagram.records : []));
  const { changeCipherSpec, alert, handshake } = contentTypes;
  for (const [index, record] of records.entries()) {
    const what = `record ${index} of ${records.length}: ${JSON.stringify(record)}`;
    if (record.epoch === 0)
      assert.ok(
        [changeCipherSpec, handshake].some((type) => type === record.type),
        what,
      );
    else if (record.type === alert)
      assert.equal(index, records.length - 1, `an alert before the end, ${what}`);
    else assert.ok(record.epoch === 1 && record.type >= handshake && record.type <= 23, what);
  }
  assert.equal(records.at(-1)?.type, alert, "it ends with close_notify");

  let left = plain;
  for (const record of dataRecords(datagrams)) {
    const packet = left.subarray(0, plainLength(record));
    left = left.subarray(packet.length);
    const header = parseIp(packet);
    assert.deepEqual([header?.source, header?.destination], [own, theirs], packet.toString("hex"));
  }
  assert.equal(left.length, 0);
}
