/** A row of `vpnd.others` as text. */
import type { OtherRow } from "../../core/postgres/nodes.js";

export function otherRow(values: (string | null)[]): OtherRow {
  const [node, address, name, session, age, over, durable, head, salt, check] = values;
  return {
    node: Number(node),
    address: address ?? "",
    name: name ?? "",
    ...(session != null && { session: BigInt(session) }),
    age: Number(age ?? 0),
    over: over === "t",
    durable: durable !== "f",
    head: BigInt(head ?? 0),
    salt: bytesOf(salt),
    check: bytesOf(check),
  };
}

/** Of a bytea in text form. */
const bytesOf = (text: string | null | undefined): Uint8Array | null =>
  text == null ? null : Buffer.from(text.slice(2), "hex");
