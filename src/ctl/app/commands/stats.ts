import type { NetworkStats } from "../../../common/gen/vpnd/v1/stats_pb.js";
import { networkOf } from "../../core/globals.js";
import { jsonLine } from "../../core/present.js";
import { statsJson } from "../../core/stats-documents.js";
import { type RateHistory, remember, statsLine, statsText } from "../../core/stats-text.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";
import { Screen } from "./screen.js";

interface StatsFlags {
  readonly watch?: boolean;
  /** Seconds. */
  readonly interval?: number;
}

const stats: CtlCommand<StatsFlags, [string?]> = async (context, flags, positional) =>
  withApi(context, async (api) => {
    const network = networkOf(context.globals, positional);
    const { json } = context.globals;
    if (!flags.watch && flags.interval === undefined) {
      const answer = await api.stats.getStats({ network }, unaryOptions(context));
      context.out.write(
        json
          ? answer.networks.map((one) => jsonLine(statsJson(one))).join("")
          : statsText(answer.networks, context.out.look),
      );
      return 0;
    }
    const screen = new Screen(context.out, !json);
    const histories = new Map<string, RateHistory>();
    const request = { network, intervalSeconds: flags.interval ?? 1 };
    for await (const update of api.stats.watchStats(request, { signal: context.signal })) {
      for (const one of update.networks)
        histories.set(one.network, remember(histories.get(one.network), one.rates));
      screen.show(picture(update.networks));
    }
    return 0;

    function picture(networks: readonly NetworkStats[]): string {
      if (json) return networks.map((one) => jsonLine(statsJson(one))).join("");
      if (screen.redraws) return statsText(networks, context.out.look, histories);
      return networks.map(statsLine).join("");
    }
  });

export default stats;
