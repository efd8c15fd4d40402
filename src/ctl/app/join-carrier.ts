import type { MessageInitShape } from "@bufbuild/protobuf";
import { VpnError } from "../../common/errors.js";
import type { JoinRequestSchema } from "../../common/gen/vpnd/v1/network_pb.js";
import { parsePsk } from "../../common/psk.js";
import { type CtlContext, warn } from "./context.js";
import { readPskFile } from "./psk-file.js";

/** Options of `join` that say over what, and with whom. */
export interface CarrierFlags {
  readonly iex?: string[];
  readonly vip?: string;
  readonly pskFile?: string;
  readonly psk?: string;
  readonly badger?: boolean;
  readonly listenPort?: number;
  readonly tcpListen?: string;
  readonly tcpConnect?: string;
  readonly tap?: boolean;
  readonly tlsPskFile?: string;
}

type JoinCarrier = NonNullable<MessageInitShape<typeof JoinRequestSchema>["carrier"]>;

/** @throws VpnError `usage` for options that are missing or do not go together */
export async function joinCarrier(context: CtlContext, flags: CarrierFlags): Promise<JoinCarrier> {
  const isLink = flags.tcpListen !== undefined || flags.tcpConnect !== undefined;
  const others = isLink
    ? { "--iex": flags.iex, "--psk-file": flags.pskFile, "--psk": flags.psk, "--badger": flags.badger }
    : { "--tap": flags.tap, "--tls-psk-file": flags.tlsPskFile };
  const more = isLink ? { ...others, "--listen-port": flags.listenPort } : others;
  const foreign = Object.entries(more).find(([, value]) => value !== undefined)?.[0];
  if (foreign !== undefined) {
    throw new VpnError("usage", `${foreign} is not an option of a ${isLink ? "TCP link" : "mesh"}`, {
      hint: isLink
        ? "a key for the link is given by --tls-psk-file FILE"
        : "for a link add --tcp-listen or --tcp-connect",
    });
  }
  return isLink ? link(context, flags) : mesh(context, flags);
}

async function mesh(context: CtlContext, flags: CarrierFlags): Promise<JoinCarrier> {
  const { badger = false, iex, listenPort = 0 } = flags;
  if (iex === undefined)
    throw new VpnError("usage", "no rendezvous server is named", { hint: "add --iex HOST:PORT" });
  const virtualIp = ownAddress(flags);
  const psk = await readPsk(context, flags);
  parsePsk(psk, { badger });
  return { case: "mesh", value: { iex, virtualIp, psk, badger, listenPort } };
}

async function link(context: CtlContext, flags: CarrierFlags): Promise<JoinCarrier> {
  const { tcpListen, tcpConnect, tap = false, tlsPskFile } = flags;
  const ends = [
    ...(tcpListen === undefined ? [] : [{ case: "listen" as const, value: tcpListen }]),
    ...(tcpConnect === undefined ? [] : [{ case: "connect" as const, value: tcpConnect }]),
  ];
  const [end, second] = ends;
  if (second !== undefined) {
    throw new VpnError("usage", "--tcp-listen and --tcp-connect exclude each other", {
      hint: "one end listens, the other one connects",
    });
  }
  const virtualIp = ownAddress(flags);
  const tlsPsk = tlsPskFile === undefined ? new Uint8Array(0) : await readPskFile(context, tlsPskFile);
  if (tlsPskFile !== undefined) parsePsk(tlsPsk, { badger: false });
  return { case: "tcp", value: { ...(end && { end }), virtualIp, tap, tlsPsk } };
}

function ownAddress({ vip }: CarrierFlags): string {
  if (vip !== undefined) return vip;
  throw new VpnError("usage", "no virtual IP is named", { hint: "add --vip, such as --vip 10.0.0.10/16" });
}

async function readPsk(context: CtlContext, flags: CarrierFlags): Promise<Uint8Array> {
  if (flags.psk !== undefined && flags.pskFile !== undefined)
    throw new VpnError("usage", "both --psk and --psk-file are given", { hint: "give one of them" });
  if (flags.psk !== undefined) {
    warn(context, "--psk shows the key to everybody who lists processes; better: --psk-file FILE or -");
    return Buffer.from(flags.psk, "utf8");
  }
  return readPskFile(context, flags.pskFile);
}
