/** What is answered to a question on port 53 of a virtual IP: names of networks, and for some askers everything else. */
import dnsPacket, { type Answer, type Packet } from "dns-packet";
import { canonicalAddress } from "../../../common/endpoint.js";
import type { Cidr } from "../network/cidr.js";
import type { NameTable } from "./name-table.js";
import { emptyAnswer, type Query, rcodes, readQuery } from "./query.js";
import { addressOf, isWithin, parseReverse, zoneOf } from "./reverse.js";

/** All names of networks are below it; it is nobody's in the world's DNS, and never asked for there. */
export const topDomain = "vpn";

/** Peers come and go; seconds. */
const ttl = 10;
const negativeTtl = 5;
const udpPayloadSize = 1232;

/** The names of one network. */
export interface Zone {
  /** "NETWORK.vpn" */
  domain: string;
  virtualIp: Cidr;
  table: NameTable;
}

/** Who asks. */
export interface Asker {
  /** This machine itself: it may ask for the names of all its networks. */
  local: boolean;
  /** It may ask for names that are not ours. */
  forwards: boolean;
}

export type Outcome = "answered" | "nodata" | "nxdomain" | "refused" | "malformed";

export type Verdict =
  | { act: "answer"; outcome: Outcome; message: Buffer }
  | { act: "forward"; query: Query }
  | { act: "drop" };

/** @param zones those that the asker may ask for */
export function respond(message: Buffer, asker: Asker, zones: readonly Zone[]): Verdict {
  const read = readQuery(message);
  if (read.kind === "drop") return { act: "drop" };
  if (read.kind === "error")
    return { act: "answer", outcome: "malformed", message: emptyAnswer(read, read.rcode) };
  const { query } = read;
  const refuse: Verdict = {
    act: "answer",
    outcome: "refused",
    message: emptyAnswer(query, rcodes.refused, { recursionAvailable: asker.forwards }),
  };
  if (query.edns !== undefined && query.edns !== 0) {
    return { act: "answer", outcome: "malformed", message: badVersion(query) };
  }
  if (query.odd || query.class !== "IN")
    return asker.forwards && query.odd ? { act: "forward", query } : refuse;
  const found = lookUp(query, asker, zones);
  if (found === "refused") return refuse;
  if (found === "foreign") return asker.forwards ? { act: "forward", query } : refuse;
  return { act: "answer", outcome: found.outcome, message: authoritative(query, found, asker) };
}

interface Found {
  outcome: "answered" | "nodata" | "nxdomain";
  answers: Answer[];
  /** Who says that there is none. */
  soa?: Answer;
}

/** `foreign`: whose names are not ours to know. */
function lookUp(query: Query, asker: Asker, zones: readonly Zone[]): Found | "foreign" | "refused" {
  const name = query.name.toLowerCase();
  const zone = zones.find(({ domain }) => name === domain || name.endsWith(`.${domain}`));
  if (zone !== undefined) return inZone(query, name, zone);
  const reverse = parseReverse(name);
  const around = reverse && zones.find(({ virtualIp }) => isWithin(reverse, virtualIp));
  if (reverse !== undefined && around !== undefined) {
    const soa = startOfAuthority(zoneOf(reverse, around.virtualIp), around);
    const address = addressOf(reverse);
    // What lies between the prefix and its addresses has no records, but exists.
    if (address === undefined) return { outcome: "nodata", answers: [], soa };
    const label = around.table.names.get(canonicalAddress(address) ?? "");
    if (label === undefined) return { outcome: "nxdomain", answers: [], soa };
    if (!asks(query, "PTR")) return { outcome: "nodata", answers: [], soa };
    const data = `${label}.${around.domain}`;
    return { outcome: "answered", answers: [{ name: query.name, type: "PTR", ttl, data }] };
  }
  if (name !== topDomain && !name.endsWith(`.${topDomain}`)) return "foreign";
  if (!asker.local) return "refused";
  const soa = startOfAuthority(topDomain, undefined);
  return { outcome: name === topDomain ? "nodata" : "nxdomain", answers: [], soa };
}

function inZone(query: Query, name: string, zone: Zone): Found {
  const soa = startOfAuthority(zone.domain, zone);
  if (name === zone.domain) {
    const answers: Answer[] = [];
    if (asks(query, "SOA")) answers.push({ ...soa, name: query.name });
    if (asks(query, "NS")) answers.push({ name: query.name, type: "NS", ttl, data: serverOf(zone) });
    return answers.length > 0 ? { outcome: "answered", answers } : { outcome: "nodata", answers, soa };
  }
  const address = zone.table.addresses.get(name.slice(0, -zone.domain.length - 1));
  if (address === undefined) return { outcome: "nxdomain", answers: [], soa };
  const type = address.includes(":") ? "AAAA" : "A";
  if (!asks(query, type)) return { outcome: "nodata", answers: [], soa };
  return { outcome: "answered", answers: [{ name: query.name, type, ttl, data: address }] };
}

const asks = (query: Query, type: string): boolean => query.type === type || query.type === "ANY";

/** This node's own name, or the zone's where it has none. */
function serverOf(zone: Zone): string {
  const label = zone.table.names.get(zone.virtualIp.address);
  return label === undefined ? zone.domain : `${label}.${zone.domain}`;
}

function startOfAuthority(name: string, zone: Zone | undefined): Answer {
  const mname = zone === undefined ? topDomain : serverOf(zone);
  const data = {
    mname,
    rname: "nobody.invalid",
    serial: 1,
    refresh: 3600,
    retry: 600,
    expire: 86_400,
    minimum: negativeTtl,
  };
  return { name, type: "SOA", ttl: negativeTtl, data };
}

function authoritative(query: Query, found: Found, asker: Asker): Buffer {
  const flags =
    dnsPacket.AUTHORITATIVE_ANSWER |
    (query.recursion ? dnsPacket.RECURSION_DESIRED : 0) |
    (asker.forwards ? dnsPacket.RECURSION_AVAILABLE : 0) |
    (found.outcome === "nxdomain" ? rcodes.nxDomain : rcodes.noError);
  const packet: Packet = {
    type: "response",
    id: query.id,
    flags,
    questions: [],
    answers: found.answers,
    authorities: found.soa === undefined ? [] : [found.soa],
    additionals: query.edns === undefined ? [] : [opt(0)],
  };
  return withQuestion(dnsPacket.encode(packet), query.question);
}

/** RFC 6891 section 6.1.3. */
function badVersion(query: Query): Buffer {
  const packet: Packet = {
    type: "response",
    id: query.id,
    flags: query.recursion ? dnsPacket.RECURSION_DESIRED : 0,
    questions: [],
    additionals: [opt(1)],
  };
  return withQuestion(dnsPacket.encode(packet), query.question);
}

/** @param extendedRcode upper bits of the rcode */
function opt(extendedRcode: number): Answer {
  return {
    name: ".",
    type: "OPT",
    udpPayloadSize,
    extendedRcode,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
}

/** The question goes back byte for byte as it came. */
function withQuestion(message: Buffer, question: Buffer): Buffer {
  const whole = Buffer.concat([message.subarray(0, 12), question, message.subarray(12)]);
  whole.writeUInt16BE(1, 4);
  return whole;
}
