/** Who may do what with the control API. Pure: who somebody is was read from the kernel by others. */

/** Who connected, as the kernel says. */
export interface Caller {
  pid: number;
  uid: number;
  gid: number;
  /** Supplementary groups. */
  groups: readonly number[];
}

/** Who may look: the group that may also change things, or every user of the machine. */
export type ReadAccess = "group" | "all";

export interface AccessPolicy {
  /** vpnd's own user. */
  ownUid: number;
  /** Group whose members may do everything; undefined: there is none. */
  group: number | undefined;
  readAccess: ReadAccess;
}

/** `write` is everything; `read` is looking, without keys and contents of packets. */
export type Access = "write" | "read" | "none";

export function accessOf(caller: Caller, policy: AccessPolicy): Access {
  const { group } = policy;
  if (caller.uid === 0 || caller.uid === policy.ownUid) return "write";
  if (group !== undefined && (caller.gid === group || caller.groups.includes(group))) return "write";
  return policy.readAccess === "all" ? "read" : "none";
}
