import { VpnError } from "../../../common/errors.js";

/**
 * The one place that says which network a command means.
 * @param asked empty: the only network there is
 * @throws VpnError `not-configured`, `usage` or `not-found`
 */
export function chooseNetwork(asked: string, names: readonly string[]): string {
  const known = [...names].sort();
  if (known.length === 0) {
    const what = asked === "" ? "no network is joined" : `network ${shown(asked)} is not joined`;
    throw new VpnError("not-configured", what, { hint: joinHint });
  }
  if (asked !== "") {
    if (known.includes(asked)) return asked;
    throw new VpnError("not-found", `network ${shown(asked)} is not joined`, {
      hint: `joined: ${known.join(", ")}`,
    });
  }
  const [only, ...more] = known;
  if (only === undefined || more.length > 0) {
    throw new VpnError("usage", "several networks are joined", {
      hint: `name one with -n: ${known.join(", ")}`,
    });
  }
  return only;
}

/** Networks of a listing: the one asked for, or all. @throws VpnError `not-configured` when there is none */
export function chooseNetworks(asked: string, names: readonly string[]): string[] {
  if (asked !== "" || names.length === 0) return [chooseNetwork(asked, names)];
  return [...names].sort();
}

const joinHint = "join one: vpnctl join --iex HOST:PORT --vip ADDRESS/LENGTH --psk-file FILE";

const shown = (name: string): string =>
  /^[\w.-]{1,64}$/.test(name) ? name : JSON.stringify(name.slice(0, 64));
