/** The connections of a session: one writes, one reads, one listens. */
import type { ConnectOptions } from "../../../common/postgres/connect.js";
import { connectDatabase } from "../../../common/postgres/connect.js";
import { DatabaseError, type WireConnection } from "../../../common/postgres/wire-connection.js";
import type { Endpoint } from "../../core/engine.js";
import { networkChannel, nodeChannel } from "../../core/postgres/channels.js";
import { LogReader } from "./log-reader.js";
import type { Opened, SessionOptions } from "./open-session.js";

export interface Connections {
  write: WireConnection;
  read: WireConnection;
  listen: WireConnection;
  all: readonly WireConnection[];
  endpoint: Endpoint;
  cipher: string | undefined;
}

export async function connectAll(options: SessionOptions, signal: AbortSignal): Promise<Connections> {
  const { connect, network } = options;
  const name = (what: string): ConnectOptions => ({ ...connect, applicationName: `vpnd ${network} ${what}` });
  const first = await connectDatabase(name("write"), signal);
  // The others go to the same server, whichever it was.
  const made = [first.connection];
  try {
    for (const what of ["read", "listen"]) {
      const same = { ...name(what), resolve: async () => [first.endpoint] };
      made.push((await connectDatabase(same, signal)).connection);
    }
  } catch (error) {
    for (const one of made) one.destroy(new Error("given up"));
    throw error;
  }
  const [write = first.connection, read = first.connection, listen = first.connection] = made;
  const { endpoint, cipher } = first;
  return { write, read, listen, all: made, endpoint, cipher };
}

/** Makes them ready for the packets of a session. */
export async function begin(
  { write, read, listen }: Connections,
  opened: Opened,
  { fast }: SessionOptions,
): Promise<void> {
  // Whatever the server does by default, packets are on its disk before anybody sees them.
  const [now] = await write.run("SHOW synchronous_commit");
  if (fast) await write.script("SET synchronous_commit = off");
  else if (now?.[0] === "off") await write.script("SET synchronous_commit = on");
  await LogReader.prepare(read);
  await listen.script(`LISTEN ${nodeChannel(opened.node)}`);
  await listen.script(`LISTEN ${networkChannel(opened.network)}`);
  // Without it the others see this node some seconds later.
  await listen.script(`NOTIFY ${networkChannel(opened.network)}`).catch((error: unknown) => {
    if (!(error instanceof DatabaseError)) throw error;
  });
}
