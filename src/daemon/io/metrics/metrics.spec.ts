import assert from "node:assert/strict";
import { test } from "node:test";
import type { PeerView } from "../../core/carrier.js";
import { Metrics } from "./metrics.js";

function peer(virtualIp: string, more: Partial<PeerView> = {}): PeerView {
  const traffic = { rxBytes: 10, txBytes: 20, rxPackets: 1, txPackets: 2 };
  return {
    virtualIp,
    path: "direct",
    state: "up",
    since: 0,
    foreign: false,
    endpoints: [],
    ...traffic,
    ...more,
  };
}

/** The lines of what is told of one network with two peers, without comments. */
async function lines(perPeer: boolean): Promise<string[]> {
  const metrics = new Metrics({
    version: "1",
    perPeer,
    networks: () => [
      {
        name: "home",
        state: "up",
        counters: { rxBytes: 100, txBytes: 200, rxPackets: 1, txPackets: 1, drops: {} },
        handshakes: {},
        peers: [
          peer("10.0.0.2", { name: "nas", pathChanges: 3, rttSeconds: 0.5 }),
          peer("10.0.0.3", { state: "offline", pathChanges: 1 }),
        ],
        pathChanges: 9,
        nameQueries: { refused: 3 },
        formerPsks: [{ epoch: 1, until: 1_700_000_000_500 }],
      },
    ],
    events: () => ({}),
    eventsLost: () => 0,
    loopLag: () => 0,
  });
  metrics.rejected("limit");
  return (await metrics.text()).split("\n").filter((line) => /^vpnd_/.test(line));
}

const ofPeers = (all: string[]) => all.filter((line) => line.startsWith("vpnd_peer_"));

test("each peer has series of its own", async () => {
  const all = await lines(true);
  assert.deepEqual(ofPeers(all), [
    'vpnd_peer_up{network="home",peer="10.0.0.2",name="nas"} 1',
    'vpnd_peer_up{network="home",peer="10.0.0.3",name=""} 0',
    'vpnd_peer_rtt_seconds{network="home",peer="10.0.0.2",name="nas"} 0.5',
    'vpnd_peer_bytes_total{network="home",peer="10.0.0.2",name="nas",direction="rx"} 10',
    'vpnd_peer_bytes_total{network="home",peer="10.0.0.2",name="nas",direction="tx"} 20',
    'vpnd_peer_bytes_total{network="home",peer="10.0.0.3",name="",direction="rx"} 10',
    'vpnd_peer_bytes_total{network="home",peer="10.0.0.3",name="",direction="tx"} 20',
    'vpnd_peer_path_changes_total{network="home",peer="10.0.0.2",name="nas"} 3',
    'vpnd_peer_path_changes_total{network="home",peer="10.0.0.3",name=""} 1',
  ]);
});

test("without series of each peer there are the network's sums, and no peer is named", async () => {
  const all = await lines(false);
  assert.deepEqual(ofPeers(all), [
    'vpnd_peer_up{network="home"} 1',
    'vpnd_peer_bytes_total{network="home",direction="rx"} 100',
    'vpnd_peer_bytes_total{network="home",direction="tx"} 200',
    'vpnd_peer_path_changes_total{network="home"} 9',
  ]);
  assert.ok(!all.some((line) => /10\.0\.0|nas/.test(line)));
});

test("questions for names are told by outcome", async () => {
  assert.ok((await lines(true)).includes('vpnd_name_queries_total{network="home",outcome="refused"} 3'));
});

test("the end of a former PSK and connections that were ended are told", async () => {
  const all = await lines(true);
  assert.ok(all.includes('vpnd_psk_expiry_timestamp_seconds{network="home",epoch="1"} 1700000000.5'));
  assert.ok(all.includes('vpnd_api_connections_rejected_total{reason="limit"} 1'));
  assert.ok(all.includes('vpnd_api_connections_rejected_total{reason="protocol"} 0'));
});
