import { VpnError } from "../../../common/errors.js";
import {
  type Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../common/gen/grpc/health/v1/health_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";

/** grpc.health.v1: a vpnd that answers serves; one that stops says so to its watchers. */
export function healthService(
  services: readonly string[],
  stopping: AbortSignal,
): ServiceImpl<(typeof Health)["method"]> {
  const known = (service: string): boolean => service === "" || services.includes(service);
  const status = (): Status => (stopping.aborted ? Status.NOT_SERVING : Status.SERVING);
  return {
    async check({ service }) {
      if (!known(service)) throw new VpnError("not-found", "no such service");
      return { status: status() };
    },
    async *watch({ service }, { signal }) {
      yield { status: known(service) ? status() : Status.SERVICE_UNKNOWN };
      await aborted(AbortSignal.any([signal, stopping]));
      if (!signal.aborted && known(service)) yield { status: Status.NOT_SERVING };
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
