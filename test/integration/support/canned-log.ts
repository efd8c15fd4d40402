/** The packet log of the server that answers vpnctl's tests: a super-packet of TCP, an ICMP packet, a row that is none. */
import type { LogService } from "../../../src/common/gen/vpnd/v1/log_pb.js";
import type { ServiceImpl } from "../../../src/common/grpc/server.js";

const at = (micros: number): { seconds: bigint; nanos: number } => ({
  seconds: 1_800_000_000n,
  nanos: micros * 1000,
});

/** Of IPv4, 10.9.0.1 to 10.9.0.2, without checksums. */
function ipv4(protocol: number, behind: Buffer): Buffer {
  const header = Buffer.from("4500000000010000400000000a0900010a090002", "hex");
  header.writeUInt16BE(header.length + behind.length, 2);
  header[9] = protocol;
  return Buffer.concat([header, behind]);
}

const tcp = ipv4(
  6,
  Buffer.concat([Buffer.from("303901bb00000001000000025018fffe00000000", "hex"), Buffer.alloc(3000)]),
);
const icmp = ipv4(1, Buffer.from("0800000000010001", "hex"));
const offload = Buffer.from("01013600e80310000600", "hex");
const row = { payload: "kept", sender: "alpha", receiver: "beta", session: 7n };
const records = [
  { ...row, at: at(1), sent: at(0), seq: 1n, packet: tcp, length: tcp.length, offload },
  { ...row, at: at(250_000), sent: at(3), seq: 2n, packet: icmp, length: icmp.length },
  {
    payload: "kept",
    sender: "beta",
    session: 8n,
    seq: 1n,
    at: at(300_000),
    sent: at(4),
    packet: Buffer.alloc(0),
    length: 0,
  },
];

const [first, last] = ["2027-01-15T08:00:00.000001Z", "2027-01-15T08:00:09.000001Z"];
const ends = { source: "10.9.0.1", source_port: "50000", destination: "10.9.0.2", destination_port: "443" };
const views: Readonly<Record<string, Record<string, string>>> = {
  talkers: {
    address: "10.9.0.1",
    node: "alpha",
    sent_packets: "3",
    sent_bytes: "4000",
    received_packets: "2",
    received_bytes: "100",
    peers: "1",
    first,
    last,
  },
  conversations: {
    ...ends,
    protocol: "6",
    sent_packets: "3",
    sent_bytes: "4000",
    returned_packets: "2",
    returned_bytes: "100",
    first,
    last,
  },
  connections: { ...ends, state: "open", opened: first, packets: "5", bytes: "4100", last },
};

export const cannedLog: ServiceImpl<(typeof LogService)["method"]> = {
  async *queryLog({ query }) {
    if (query?.network !== "empty") yield { records };
  },
  async getLogView({ view }) {
    return { rows: [{ values: views[view] ?? {} }] };
  },
  async pruneLog({ dryRun }) {
    return { parts: [{ node: "alpha", since: at(0), until: at(1), bytes: 8192n, dropped: !dryRun }] };
  },
  async *replayLog() {
    yield { packets: 3n, bytes: 4000n, leftOut: 1n, seconds: 1.5 };
    yield { packets: 5n, bytes: 7000n, leftOut: 1n, seconds: 2.5, done: true };
  },
  async *followLog() {
    yield { records: records.slice(0, 1) };
    yield { records: records.slice(1) };
  },
};
