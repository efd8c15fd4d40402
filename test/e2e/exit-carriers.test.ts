/**
 * Exit nodes and subnets do not ask what carries their packets: the same over each carrier that announces, but for the mesh
 * (exit-node.test.ts, routes.test.ts).
 */
import assert from "node:assert/strict";
import { carrierKinds, type Ends, inner, makeEnds } from "../lab/carriers.js";
import { waitFor } from "../lab/command.js";
import { isSeenAs, publicWeb, web4 } from "../lab/public-web.js";
import { labSuite } from "../lab/suite.js";
import { ping, reachable } from "../lab/traffic.js";
import { giveResolvConf } from "../support/resolv-conf.js";

const lan = "172.20.5";

for (const kind of carrierKinds.filter(({ name }) => name === "tcp" || name === "postgres")) {
  labSuite<Ends>(
    `exit-carriers: ${kind.name}`,
    async (lab) => {
      await publicWeb(lab);
      const ends = await makeEnds(lab);
      giveResolvConf(ends.b.host.netns, `nameserver ${web4}\n`);
      const join = await kind.prepare(lab, ends);
      await join(ends.a);
      await join(ends.b);
      await ends.b.peerUp(inner.a);
      return ends;
    },
    (step) => {
      step("offered and used, the outside sees the exit node's address; off, its own", async ({ a, b }) => {
        await isSeenAs(b.host, web4, b.host.address);
        await a.ok(["exit-node", "offer"]);
        await waitFor(
          async () => (await b.ctl(["exit-node", "use", inner.a])).code === 0,
          20_000,
          "the offer has come",
        );
        await isSeenAs(b.host, web4, a.host.address);
        await b.ok(["exit-node", "off"]);
        await isSeenAs(b.host, web4, b.host.address);
        await a.ok(["exit-node", "withdraw"]);
      });

      step("a subnet behind the other end is reached once it is accepted", async ({ a, b }) => {
        await a.host.ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1");
        await a.host.ip("link", "set", "lan1", "up");
        await a.host.ip("addr", "add", `${lan}.1/24`, "dev", "lan0");
        await a.host.ip("link", "set", "lan0", "up");
        await a.ok(["routes", "offer", `${lan}.0/24`]);
        await waitFor(
          async () => (await b.ctl(["routes", "accept", inner.a])).code === 0,
          20_000,
          "the offer has come",
        );
        await reachable(b.host, `${lan}.1`);
        await b.ok(["routes", "reject", inner.a]);
        assert.equal((await ping(b.host, `${lan}.1`, { count: 1, waitSeconds: 1 })).received, 0);
        if (kind.name !== "postgres") return;
        // Nor does anything of the subnet come from there: in a log, several could say so.
        const refused = async () => (await b.stats()).drops["foreign-source"] ?? 0;
        const before = await refused();
        await a.host.exec("ping", ["-n", "-c", "1", "-W", "1", "-I", `${lan}.1`, inner.b]);
        await waitFor(async () => (await refused()) > before, 20_000, "a packet of the subnet is refused");
      });
    },
  );
}
