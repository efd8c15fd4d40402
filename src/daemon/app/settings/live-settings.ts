import type { LiveSettings } from "../../core/carrier.js";
import type { NetworkConfig } from "../../core/network/config.js";
import type { NetworkSecrets } from "../../io/state/store.js";

/** What a carrier may be able to change while it lives, of how a network is configured. */
export function liveSettings(
  { asked, nodeName }: NetworkConfig,
  { password }: Pick<NetworkSecrets, "password">,
): LiveSettings {
  const { iex, tcp, postgres, gateway } = asked;
  return {
    iex,
    nodeName,
    ...(tcp && { tcp }),
    ...(postgres && { postgres }),
    ...(gateway && { gateway }),
    ...(gateway && password !== undefined && { token: password }),
  };
}
