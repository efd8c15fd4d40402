import type { Logger } from "pino";
import type { ServiceManager } from "../../common/systemd/service-manager.js";
import { statusLine } from "../core/status-line.js";
import type { Networks } from "./networks.js";

/** At most one status a period: each is a process. */
const statusGapMs = 5_000;

/**
 * Says that vpnd is ready, and from then on how it is: a line on its networks, and signs of life as long as the event loop
 * and the threads of every network and of the gateway answer.
 * @returns what says that it is stopping, and ends this
 */
export async function supervise(
  service: ServiceManager,
  networks: Networks,
  gateway: { responds(): boolean },
  log: Logger,
): Promise<() => Promise<void>> {
  await service.ready(line(networks));
  service.watch(() => {
    const [net, gate] = [responds(networks), gateway.responds()];
    return net && gate;
  });
  const end = new AbortController();
  const following = follow(service, networks, end.signal).catch((error: unknown) => {
    log.error({ err: error }, "the service manager is told no more of networks");
  });
  return async () => {
    service.stopping();
    end.abort();
    await following;
  };
}

async function follow(service: ServiceManager, networks: Networks, signal: AbortSignal): Promise<void> {
  for await (const _ of networks.feed.ticks(signal, 0, statusGapMs)) service.status(line(networks));
}

function line(networks: Networks): string {
  return statusLine(
    networks.all().map(({ life }) => ({
      state: life.state,
      peers: life.state === "running" ? life.carrier.view().peers : [],
    })),
  );
}

function responds(networks: Networks): boolean {
  // Each is asked, whatever the first says.
  const answers = networks.all().map((network) => network.carrier?.responds?.() ?? true);
  return !answers.includes(false);
}
