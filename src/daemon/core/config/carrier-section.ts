/** What a network's section says about its carrier. */
import { VpnError } from "../../../common/errors.js";
import type { JoinOptions } from "../network/config.js";
import type { NetworkSection } from "./schema.js";

/**
 * The part of `vpnctl join` that names the carrier.
 * @throws VpnError `usage` for keys that are missing or do not go together
 */
export function carrierOf(
  section: NetworkSection,
): Pick<JoinOptions, "iex" | "badger" | "listenPort" | "tcp"> {
  const listen = String(section.tcp_listen);
  const { iex, tcp_connect: connect } = section;
  const given = Object.entries({ iex, tcp_listen: listen, tcp_connect: connect })
    .filter(([, value]) => value !== undefined && value !== "")
    .map(([key]) => key);
  const [first, second] = given;
  if (first === undefined) {
    throw usage("no other end is named", "give iex for a mesh, tcp_listen or tcp_connect for a link");
  }
  if (second !== undefined) throw usage(`${first} and ${second} exclude each other`, "drop one");
  refuseOthers(section, first !== "iex");
  const { badger, listen_port: listenPort, tap } = section;
  if (iex !== undefined) return { iex, badger, listenPort };
  const tls = section.tls_psk_file !== "";
  const tcp =
    first === "tcp_listen"
      ? ({ role: "listen", address: listen, tap, tls } as const)
      : ({ role: "connect", address: connect, tap, tls } as const);
  return { iex: [], badger, listenPort, tcp };
}

/** The file that holds the key. */
export function pskFileOf({ psk_file: ofMesh, tls_psk_file: ofLink }: NetworkSection): { pskFile?: string } {
  const pskFile = ofMesh ?? ofLink;
  return pskFile === "" ? {} : { pskFile };
}

function refuseOthers(section: NetworkSection, isLink: boolean): void {
  const others = isLink
    ? {
        psk_file: section.psk_file !== undefined,
        badger: section.badger,
        listen_port: section.listen_port !== 0,
      }
    : { tap: section.tap, tls_psk_file: section.tls_psk_file !== "" };
  const foreign = Object.entries(others).find(([, given]) => given)?.[0];
  if (foreign !== undefined) {
    throw usage(
      `${foreign} is no key of a ${isLink ? "TCP link" : "mesh"}`,
      isLink ? "the key of a link is in tls_psk_file" : "a link has tcp_listen or tcp_connect instead of iex",
    );
  }
  if (!isLink && section.psk_file === undefined) {
    throw usage("a mesh needs a key", "give psk_file; make one: vpnctl psk generate --out FILE");
  }
}

const usage = (message: string, hint: string): VpnError => new VpnError("usage", message, { hint });
