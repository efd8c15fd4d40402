/** OpenVPN over UDP, point to point, in user space; each side knows the other by its certificate's fingerprint. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { must } from "../../test/lab/command.js";
import type { Host } from "../../test/lab/lab.js";
import { type Contestant, inner, versionOf } from "./contestant.js";

export const openvpnPort = "1194";

/** Makes a certificate that signs itself. */
export async function certificate(host: Host): Promise<{ args: string[]; fingerprint: string }> {
  const [cert, key] = [join(host.folder, "cert.pem"), join(host.folder, "key.pem")];
  const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"];
  await must("openssl", ["req", "-x509", ...kind, "-subj", `/CN=${host.name}`, "-keyout", key, "-out", cert]);
  const { fingerprint256 } = new X509Certificate(readFileSync(cert));
  return { args: ["--cert", cert, "--key", key], fingerprint: fingerprint256 };
}

const openvpnCommon = [
  ...[
    "--dev",
    "tun0",
    "--dev-type",
    "tun",
    "--proto",
    "udp",
    "--auth-nocache",
    "--verb",
    "3",
    "--ping",
    "10",
  ],
  ...["--data-ciphers", "AES-128-GCM", "--disable-dco"],
] as const;

export async function openvpn(binary: string): Promise<Contestant> {
  return {
    name: "openvpn",
    version: `${await versionOf(binary, ["--version"], /OpenVPN (\S+)/)}, AES-128-GCM`,
    async start({ a, b }) {
      const [own, far] = [await certificate(a), await certificate(b)];
      const both = [...openvpnCommon, "--topology", "p2p"];
      const server = ["--local", b.address, "--port", openvpnPort, "--tls-server", "--dh", "none"];
      const client = ["--remote", b.address, openvpnPort, "--nobind", "--tls-client"];
      b.spawn("openvpn", binary, [
        ...[...both, ...server, ...far.args, "--peer-fingerprint", own.fingerprint],
        ...["--ifconfig", inner.b, inner.a],
      ]);
      const program = a.spawn("openvpn", binary, [
        ...[...both, ...client, ...own.args, "--peer-fingerprint", far.fingerprint],
        ...["--ifconfig", inner.a, inner.b],
      ]);
      await program.until(
        () => program.log.includes("Initialization Sequence Completed"),
        20_000,
        "it is connected",
      );
      return { address: inner.b, device: "tun0" };
    },
  };
}
