/** Exit nodes do not ask what carries their packets: the same over each carrier that announces, but for the mesh (exit-node.test.ts). */
import { carrierKinds, type Ends, inner, makeEnds } from "../lab/carriers.js";
import { waitFor } from "../lab/command.js";
import { isSeenAs, publicWeb, web4 } from "../lab/public-web.js";
import { labSuite } from "../lab/suite.js";
import { giveResolvConf } from "../support/resolv-conf.js";

for (const kind of carrierKinds.filter(({ name }) => name === "tcp")) {
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
    },
  );
}
