import { VpnError } from "../../common/errors.js";

/** Why `set` does not take an option of `join`. @throws VpnError `usage`, always */
export function refuseFixed(option: string): never {
  const isKey = option.includes("psk");
  throw new VpnError("usage", `${option} is not changed by set`, {
    hint: isKey
      ? "change the key of a network: vpnctl psk set, or vpnctl psk rotate"
      : "it makes another network: vpnctl leave, then vpnctl join",
  });
}
