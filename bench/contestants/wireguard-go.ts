/** wireguard-go, told what to do in its own language over its socket, so that no other tool is needed. */
import { generateKeyPairSync } from "node:crypto";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import type { Host } from "../../test/lab/lab.js";
import { addressOn, type Contestant, hasDevice, inner, versionOf } from "./contestant.js";

const device = "wg0";
const port = 51820;

/** Hexadecimal, as the socket takes it. The raw key is the last 32 bytes of either encoding (RFC 8410). */
function keys(): { secret: string; open: string } {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  const secret = privateKey.export({ format: "der", type: "pkcs8" });
  const open = publicKey.export({ format: "der", type: "spki" });
  return { secret: secret.subarray(-32).toString("hex"), open: open.subarray(-32).toString("hex") };
}

function tell(socketPath: string, lines: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = connect(socketPath, () => socket.write(`${lines.join("\n")}\n\n`));
    socket.setEncoding("utf8");
    socket.on("data", (text) => {
      answer += String(text);
      if (!answer.includes("errno=")) return;
      socket.destroy();
      if (/errno=0\b/.test(answer)) resolve();
      else reject(new Error(`wireguard-go refused its configuration: ${answer.trim()}`));
    });
    socket.once("error", reject);
  });
}

async function startSide(host: Host, binary: string) {
  // It puts its socket into /run/wireguard; ours is in a file system that ends with the program.
  const script = 'mount -t tmpfs tmpfs /run && mkdir /run/wireguard && exec "$0" -f wg0';
  const program = host.spawn("wireguard-go", "sh", ["-c", script, binary], { env: { LOG_LEVEL: "error" } });
  const socketPath = `/proc/${program.pid}/root/run/wireguard/${device}.sock`;
  await program.until(
    async () => existsSync(socketPath) && (await hasDevice(host, device)),
    10_000,
    "wireguard-go takes commands",
  );
  return socketPath;
}

export async function wireguardGo(binary: string): Promise<Contestant> {
  return {
    name: "wireguard-go",
    version: `${await versionOf(binary, ["--version"], /(v?\d+\.\d+\.\S+)/)}, ChaCha20-Poly1305`,
    async start({ a, b }) {
      const sides = [
        { host: a, far: b, address: inner.a, key: keys() },
        { host: b, far: a, address: inner.b, key: keys() },
      ];
      for (const [index, side] of sides.entries()) {
        const other = sides[1 - index];
        if (other === undefined) continue;
        await tell(await startSide(side.host, binary), [
          "set=1",
          `private_key=${side.key.secret}`,
          `listen_port=${port}`,
          `public_key=${other.key.open}`,
          `endpoint=${side.far.address}:${port}`,
          "allowed_ip=0.0.0.0/0",
        ]);
        await addressOn(side.host, device, side.address);
      }
      return { address: inner.b, device };
    },
  };
}
