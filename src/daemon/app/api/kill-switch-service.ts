import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { KillSwitchSchema, KillSwitchService } from "../../../common/gen/vpnd/v1/kill_switch_pb.js";
import type { ServiceImpl } from "../../../common/grpc/server.js";
import type { KillSwitch } from "../kill-switch/kill-switch.js";

export function killSwitchService(killSwitch: KillSwitch): ServiceImpl<(typeof KillSwitchService)["method"]> {
  return {
    async killSwitchOn({ allowLan, allow, dryRun }) {
      const { plan, notes, already } = await killSwitch.turnOn({ allowLan, allow }, dryRun);
      return { killSwitch: await killSwitchMessage(killSwitch), alreadyOn: already, notes, plan };
    },
    async killSwitchOff({ dryRun }) {
      const { plan, already } = await killSwitch.turnOff(dryRun);
      return { killSwitch: await killSwitchMessage(killSwitch), alreadyOff: already, plan };
    },
    async getKillSwitch() {
      return { killSwitch: await killSwitchMessage(killSwitch) };
    },
  };
}

export async function killSwitchMessage(
  killSwitch: KillSwitch,
): Promise<MessageInitShape<typeof KillSwitchSchema>> {
  const { state, inForce, table, through } = await killSwitch.view();
  if (state === undefined) return { on: false, inForce, table };
  const { since, allowLan, lan, devices, allowed } = state;
  return {
    on: true,
    inForce,
    table,
    since: timestampFromMs(since),
    allowLan,
    lan: [...lan],
    devices: [...devices],
    allowed: allowed.map(({ name, endpoints }) => ({ name, endpoints: [...endpoints] })),
    through,
  };
}
