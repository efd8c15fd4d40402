import type { GatewayHello } from "../../../common/gateway/hello.js";
import type { Announcement } from "../routes/announcement.js";
import { readRoutePrefix } from "../routes/prefix.js";

/** What a gateway carries, in the words of other carriers' peers. */
export function announcementOf({
  addresses,
  routes,
}: Pick<GatewayHello, "addresses" | "routes">): Announcement {
  const has = (six: boolean): boolean => addresses.some((one) => one.includes(":") === six);
  const exit = {
    v4: routes.includes("0.0.0.0/0") && has(false),
    v6: routes.includes("::/0") && has(true),
  };
  return { name: "gateway", exit, routes: routes.filter((one) => readRoutePrefix(one) !== undefined) };
}
