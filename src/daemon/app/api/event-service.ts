import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { EventSchema, EventService } from "../../../common/gen/vpnd/v1/event_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import type { NetworkEvent } from "../../core/events/event.js";
import type { EventQuery } from "../../core/events/event-ring.js";
import type { EventJournal } from "../event-journal.js";

export function eventService(
  events: EventJournal,
  stopping: AbortSignal,
): ServiceImpl<(typeof EventService)["method"]> {
  return {
    async listEvents(request) {
      return { events: events.list(queryOf(request)).map(eventMessage) };
    },
    async *watchEvents(request, { signal }) {
      for await (const some of events.watch(queryOf(request), AbortSignal.any([signal, stopping])))
        if (some.length > 0) yield { events: some.map(eventMessage) };
    },
  };
}

function queryOf(request: { network: string; since?: Timestamp | undefined; limit: number }): EventQuery {
  const { network, since, limit } = request;
  return { network, limit, ...(since === undefined ? {} : { since: timestampMs(since) }) };
}

function eventMessage({ at, ...event }: NetworkEvent): MessageInitShape<typeof EventSchema> {
  return { ...event, time: timestampFromMs(Math.round(at)) };
}
