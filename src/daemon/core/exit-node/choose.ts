/** Which of the peers carries this machine's traffic to the Internet. */
import type { AnnouncedPeer, Reason } from "../carrier.js";
import { compareAddresses } from "../mesh/address.js";
import type { ExitUse } from "./state.js";

/**
 * `active`: it carries the traffic. `standby`: it would, if another one did not. `offline`: it is meant to, but is not up.
 * `withdrawn`: it is up, but does not offer it. `offered`: nobody asked for it.
 */
export type ExitState = "active" | "standby" | "offline" | "withdrawn" | "offered";

export interface ExitView {
  virtualIp: string;
  nodeKey: string;
  name?: string;
  state: ExitState;
  v4: boolean;
  v6: boolean;
  /** Addresses under which the outside sees what it carries, as it says. */
  seen: readonly string[];
}

export interface ChosenExit {
  exits: ExitView[];
  /** Absent: nobody carries it, and nothing leaves. */
  active?: ExitView;
  reason?: Reason;
}

/**
 * @param use absent: no exit node of this network is used
 * @param current node key of the one that carries it now; with "auto" it stays while it can
 */
export function chooseExit(
  use: Pick<ExitUse, "peers"> | undefined,
  peers: readonly AnnouncedPeer[],
  current: string | undefined,
): ChosenExit {
  const views = [...peers]
    .sort((a, b) => compareAddresses(a.virtualIp, b.virtualIp))
    .map((peer): ExitView & { up: boolean } => {
      const { virtualIp, nodeKey, name, up, what } = peer;
      const { v4, v6, seen = [] } = what.exit;
      const known = { virtualIp, nodeKey, ...(name !== undefined && { name }) };
      return { ...known, state: "offered", v4, v6, seen, up };
    });
  const offers = (view: ExitView): boolean => view.v4 || view.v6;
  const wanted =
    use === undefined
      ? []
      : use.peers === "auto"
        ? views.filter(offers)
        : use.peers.map((peer): ExitView & { up: boolean } => {
            const found = views.find((view) => view.nodeKey === peer.nodeKey);
            return found ?? { ...peer, state: "offline", v4: false, v6: false, seen: [], up: false };
          });
  const able = wanted.filter((view) => view.up && offers(view));
  const kept = use?.peers === "auto" ? able.find((view) => view.nodeKey === current) : undefined;
  const active = kept ?? able[0];
  for (const view of wanted) {
    if (view === active) view.state = "active";
    else if (!view.up) view.state = "offline";
    else view.state = offers(view) ? "standby" : "withdrawn";
  }
  const listed = [...wanted, ...views.filter((view) => !wanted.includes(view) && offers(view))];
  const exits = listed.map(({ up: _, ...view }) => view);
  const chosen = exits.find((view) => view.state === "active");
  if (chosen !== undefined) return { exits, active: chosen };
  return use === undefined ? { exits } : { exits, reason: whyNot(exits) };
}

function whyNot(exits: readonly ExitView[]): Reason {
  const withdrawn = exits.find((view) => view.state === "withdrawn");
  if (withdrawn === undefined) return { code: "offline", message: "no exit node is up" };
  const who = withdrawn.name ?? withdrawn.virtualIp;
  return { code: "withdrawn", message: `${who} is up, but is no exit node` };
}

/** The default routes that it carries for us. @param virtualIp own address: IPv4 cannot be sent without one */
export function carriedBy(exit: ExitView, virtualIp: string): string[] {
  const four = exit.v4 && !virtualIp.includes(":");
  return [...(four ? ["0.0.0.0/0"] : []), ...(exit.v6 ? ["::/0"] : [])];
}
