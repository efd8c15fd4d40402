import type { Item } from "../system/items.js";
import type { NetworkConfig } from "./config.js";

/**
 * What a network wants of the machine. The connected route of the virtual prefix comes with the address, which may come later.
 * @param exists the device is there already and was named by the user
 */
export function networkItems(config: NetworkConfig, exists: boolean): Item[] {
  const { device } = config;
  const { virtualIp } = config.asked;
  const tap = config.asked.tcp?.tap === true ? ({ mode: "tap" } as const) : {};
  return [
    { kind: exists ? "existing-tun" : "tun", name: device, ...tap },
    { kind: "link", device, mtu: config.mtu },
    ...(virtualIp === "" ? [] : [{ kind: "address" as const, device, address: virtualIp }]),
  ];
}
