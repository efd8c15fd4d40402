import type { MessageInitShape } from "@bufbuild/protobuf";
import { VpnError } from "../../common/errors.js";
import type { JoinRequestSchema } from "../../common/gen/vpnd/v1/network_pb.js";
import { parsePsk } from "../../common/psk.js";
import { hasPassword, passwordOf } from "../core/postgres-options.js";
import { type CtlContext, warn } from "./context.js";
import { readPasswordFile, readPskFile, readTokenFile } from "./named-secrets.js";

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
  readonly postgres?: string;
  readonly postgresPasswordFile?: string;
  readonly fast?: boolean;
  /** Seconds. */
  readonly retention?: number;
  /** Bytes. */
  readonly maxSize?: number;
  readonly log?: string;
  readonly gateway?: string;
  readonly tokenFile?: string;
  readonly proxy?: string;
  readonly route?: readonly string[];
  readonly fanqiang?: boolean;
  readonly padding?: boolean;
}

type JoinCarrier = NonNullable<MessageInitShape<typeof JoinRequestSchema>["carrier"]>;

type Kind = "mesh" | "TCP link" | "network over PostgreSQL" | "network by way of a gateway";

/** Which options belong to which kinds of networks; what is not here is for all of them. */
function owned(flags: CarrierFlags): readonly { option: string; value: unknown; of: Kind; also?: Kind }[] {
  return [
    { option: "--iex", value: flags.iex, of: "mesh" },
    { option: "--psk-file", value: flags.pskFile, of: "mesh", also: "network over PostgreSQL" },
    { option: "--psk", value: flags.psk, of: "mesh" },
    { option: "--badger", value: flags.badger, of: "mesh" },
    { option: "--listen-port", value: flags.listenPort, of: "mesh" },
    { option: "--tap", value: flags.tap, of: "TCP link" },
    { option: "--tls-psk-file", value: flags.tlsPskFile, of: "TCP link" },
    { option: "--tcp-listen", value: flags.tcpListen, of: "TCP link" },
    { option: "--tcp-connect", value: flags.tcpConnect, of: "TCP link" },
    { option: "--postgres-password-file", value: flags.postgresPasswordFile, of: "network over PostgreSQL" },
    { option: "--fast", value: flags.fast, of: "network over PostgreSQL" },
    { option: "--retention", value: flags.retention, of: "network over PostgreSQL" },
    { option: "--max-size", value: flags.maxSize, of: "network over PostgreSQL" },
    { option: "--log", value: flags.log, of: "network over PostgreSQL" },
    { option: "--gateway", value: flags.gateway, of: "network by way of a gateway" },
    { option: "--token-file", value: flags.tokenFile, of: "network by way of a gateway" },
    { option: "--proxy", value: flags.proxy, of: "network by way of a gateway" },
    { option: "--route", value: flags.route, of: "network by way of a gateway" },
    { option: "--fanqiang", value: flags.fanqiang, of: "network by way of a gateway" },
    { option: "--padding", value: flags.padding, of: "network by way of a gateway" },
  ];
}

const advice: Readonly<Record<Kind, string>> = {
  mesh: "a mesh is joined by --iex alone",
  "TCP link": "for a link add --tcp-listen or --tcp-connect",
  "network over PostgreSQL": "for such a network add --postgres URL",
  "network by way of a gateway": "for such a network add --gateway URL",
};

/** @throws VpnError `usage` for options that are missing or do not go together */
export async function joinCarrier(context: CtlContext, flags: CarrierFlags): Promise<JoinCarrier> {
  const kind = kindOf(flags);
  const foreign = owned(flags).find(
    ({ value, of, also }) => value !== undefined && of !== kind && also !== kind,
  );
  if (foreign !== undefined) {
    throw new VpnError("usage", `${foreign.option} is not an option of a ${kind}`, {
      hint:
        kind === "TCP link" && foreign.of === "mesh"
          ? "a key for the link is given by --tls-psk-file FILE"
          : advice[foreign.of],
    });
  }
  if (kind === "TCP link") return link(context, flags);
  if (flags.postgres !== undefined) return database(context, flags, flags.postgres);
  return flags.gateway === undefined ? mesh(context, flags) : gateway(context, flags, flags.gateway);
}

function kindOf(flags: CarrierFlags): Kind {
  if (flags.postgres !== undefined) return "network over PostgreSQL";
  if (flags.gateway !== undefined) return "network by way of a gateway";
  return flags.tcpListen === undefined && flags.tcpConnect === undefined ? "mesh" : "TCP link";
}

async function database(context: CtlContext, flags: CarrierFlags, url: string): Promise<JoinCarrier> {
  const { postgresPasswordFile: file, pskFile, fast = false, retention = 0, maxSize = 0, log = "" } = flags;
  const virtualIp = ownAddress(flags);
  if (hasPassword(url)) {
    if (file !== undefined) {
      throw new VpnError("usage", "both the URL and --postgres-password-file give a password", {
        hint: "take it out of the URL",
      });
    }
    warn(
      context,
      "everybody who lists processes sees the password in the URL; better: --postgres-password-file FILE or -",
    );
  }
  if (file === "-" && pskFile === "-") {
    throw new VpnError("usage", "standard input cannot hold both the password and the key", {
      hint: "give one of them as a file",
    });
  }
  const password = file === undefined ? new Uint8Array(0) : passwordOf(await readPasswordFile(context, file));
  const psk = pskFile === undefined ? new Uint8Array(0) : await readPskFile(context, pskFile);
  if (pskFile !== undefined) parsePsk(psk, { badger: false });
  const kept = { retentionSeconds: retention, maxBytes: BigInt(maxSize), log };
  return { case: "postgres", value: { url, virtualIp, password, psk, fast, ...kept } };
}

async function gateway(context: CtlContext, flags: CarrierFlags, url: string): Promise<JoinCarrier> {
  const { tokenFile, proxy = "", route = [], vip, fanqiang = false, padding = false } = flags;
  if (vip !== undefined) {
    throw new VpnError("usage", "--vip is not an option of a network by way of a gateway", {
      hint: "the gateway gives its clients their addresses",
    });
  }
  const token = tokenFile === undefined ? new Uint8Array(0) : await readTokenFile(context, tokenFile);
  return { case: "gateway", value: { url, token, proxy, routes: [...route], fanqiang, padding } };
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
