/** How the config declares the gateway of this machine, if it does, and what follows for those who say otherwise. */
import { isDeepStrictEqual } from "node:util";
import { formatOrigin } from "../../../common/config/layer.js";
import { VpnError } from "../../../common/errors.js";
import type { DeclaredGateway } from "../../core/config/gateway-section.js";
import {
  type AskedGateway,
  asksNothing,
  checkGatewayOptions,
  type GatewayOptions,
} from "../../core/gateway/options.js";

/** What is to be done about a gateway because of the config. */
export type Consequence =
  | { do: "nothing" }
  /** It is the config's from now on, and stays as it is. */
  | { do: "keep"; wanted: DeclaredGateway }
  | { do: "stop" }
  | { do: "restart"; wanted: DeclaredGateway; up: boolean };

export class Declaration {
  #wanted: DeclaredGateway | undefined;

  /** "FILE:LINE"; undefined: the config does not declare it. */
  get origin(): string | undefined {
    return this.#wanted && formatOrigin(this.#wanted.origin);
  }

  /**
   * The config says this now.
   * @param running how it runs, or tries to; undefined: it does not
   * @param tlsChanged it has another certificate
   */
  follow(
    wanted: DeclaredGateway | undefined,
    running: GatewayOptions | undefined,
    tlsChanged: boolean,
  ): Consequence {
    const before = this.#wanted;
    this.#wanted = wanted;
    if (wanted === undefined) return { do: before === undefined ? "nothing" : "stop" };
    const runs = running !== undefined;
    // A `gateway stop`, or a start, holds until the next start of vpnd, unless the config itself says something new.
    const same = before !== undefined && before.up === wanted.up;
    const up = same ? runs : wanted.up;
    const asWanted = isDeepStrictEqual(running ?? before?.options, wanted.options);
    if (asWanted && up === runs && !tlsChanged)
      return before === undefined ? { do: "keep", wanted } : { do: "nothing" };
    return { do: "restart", wanted, up };
  }

  /**
   * What `gateway start` comes to.
   * @throws VpnError `usage`, or `failed` for anything but what is declared
   */
  optionsOf(asked: AskedGateway): GatewayOptions {
    const options = checkGatewayOptions(asked);
    if (this.#wanted === undefined) return options;
    if (asksNothing(asked) || isDeepStrictEqual(options, this.#wanted.options)) return this.#wanted.options;
    throw new VpnError("failed", `the gateway is declared in ${this.origin}, and can only be changed there`, {
      hint: "change it there and reload: systemctl reload vpnd; as it is declared: vpnctl gateway start",
    });
  }

  /** What is said when it is stopped by hand. */
  get notes(): string[] {
    if (this.#wanted === undefined) return [];
    return [
      `it is declared in ${this.origin}: it comes back when vpnd starts again, and with vpnctl gateway start; for good: remove the section and reload`,
    ];
  }
}
