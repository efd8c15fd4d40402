import { VpnError } from "../../common/errors.js";
import { errorCode } from "../io/atomic-file.js";
import type { Platform } from "./platform.js";

export interface UdpSockets {
  port: number;
  sockets: { family: 4 | 6; fd: number }[];
}

const attempts = 16;

/**
 * One UDP port for IPv4 and, where the kernel has it, IPv6.
 * @param port 0: any
 * @param fixed the user asked for this port, so no other will do
 * @throws VpnError `conflict` when the port is taken
 */
export function openUdpSockets(platform: Platform, port: number, fixed: boolean): UdpSockets {
  let wanted = port;
  for (let attempt = 0; attempt < attempts; attempt++) {
    const opened = tryPort(platform, wanted);
    if (opened) return opened;
    if (fixed) {
      throw new VpnError("conflict", `UDP port ${port} is in use`, { hint: "choose another --listen-port" });
    }
    wanted = 0;
  }
  throw new VpnError("failed", "found no UDP port that is free for IPv4 and IPv6", { hint: "try again" });
}

function tryPort(platform: Platform, port: number): UdpSockets | undefined {
  const sockets: UdpSockets["sockets"] = [];
  const closeAll = (): void => {
    for (const { fd } of sockets) platform.closeFd(fd);
  };
  let bound = port;
  try {
    for (const family of [4, 6] as const) {
      const socket = open(platform, family, bound);
      if (socket === "none") continue;
      if (socket === "taken") {
        closeAll();
        return undefined;
      }
      sockets.push({ family, fd: socket.fd });
      bound = socket.port;
    }
  } catch (error) {
    closeAll();
    throw error;
  }
  if (sockets.length === 0) throw new VpnError("failed", "this kernel has neither IPv4 nor IPv6 sockets");
  return { port: bound, sockets };
}

function open(
  platform: Platform,
  family: 4 | 6,
  port: number,
): { fd: number; port: number } | "taken" | "none" {
  try {
    return platform.makeSocket({ family, kind: "udp", port });
  } catch (error) {
    const code = errorCode(error);
    if (code === "EADDRINUSE") return "taken";
    if (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL") return "none";
    throw new VpnError("failed", `cannot make a UDP socket: ${String((error as Error).message)}`, {
      cause: error,
    });
  }
}
