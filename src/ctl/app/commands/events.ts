import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Event } from "../../../common/gen/vpnd/v1/event_pb.js";
import { eventJson, eventLine, eventsText } from "../../core/event-text.js";
import { jsonLine } from "../../core/present.js";
import { type CtlCommand, unaryOptions, withApi } from "../context.js";

export interface EventsFlags {
  readonly watch?: boolean;
  /** Seconds before now. */
  readonly since?: number;
}

/** How many are shown when no time is given; when watching, how many of the past go first. */
const shown = 100;
const shownBeforeWatch = 10;

const events: CtlCommand<EventsFlags, []> = async (context, { watch = false, since }) =>
  withApi(context, async (api) => {
    const { json, network } = context.globals;
    const limit = since !== undefined ? 0 : watch ? shownBeforeWatch : shown;
    const from = since && { since: timestampFromMs(context.now().getTime() - Math.round(since * 1000)) };
    const request = { network, limit, ...from };
    const lines = (some: readonly Event[]): string =>
      some.map((event) => (json ? jsonLine(eventJson(event)) : eventLine(event))).join("");
    if (!watch) {
      const answer = await api.events.listEvents(request, unaryOptions(context));
      context.out.write(json ? lines(answer.events) : eventsText(answer.events, limit));
      return 0;
    }
    for await (const update of api.events.watchEvents(request, { signal: context.signal }))
      context.out.write(lines(update.events));
    return 0;
  });

export default events;
