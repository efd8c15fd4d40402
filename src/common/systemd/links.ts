import notify from "systemd-notify";
import { loadAddon } from "../addon.js";
import type { ServiceLinks } from "./service-manager.js";

interface Notifier {
  notify(socketPath: string, message: string, fd?: number): void;
}

/** To the systemd that started this process. */
export const systemdLinks: ServiceLinks = {
  announce: (what) => notify({ ...what, pid: process.pid }),
  datagram(socketPath, message, fd) {
    const { notify: send } = loadAddon() as Notifier;
    if (fd === undefined) send(socketPath, message);
    else send(socketPath, message, fd);
  },
};
