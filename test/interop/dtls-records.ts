/** What a datagram to a foreign node is, as far as it can be told without its keys. */

export interface DtlsRecord {
  type: number;
  epoch: number;
  /** Of what follows the header, bytes. */
  length: number;
}

export type Datagram =
  | { kind: "zero" }
  | { kind: "dtls"; records: DtlsRecord[] }
  | { kind: "other"; hex: string };

export const contentTypes = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const;

const headerBytes = 13;
/** Explicit nonce and tag of AES-GCM in TLS 1.2 (RFC 5288). */
const gcmBytes = 8 + 16;

export function classify(data: Buffer): Datagram {
  if (data.length === 1 && data[0] === 0) return { kind: "zero" };
  const records: DtlsRecord[] = [];
  const other: Datagram = { kind: "other", hex: data.toString("hex") };
  for (let left = data; left.length > 0; ) {
    if (left.length < headerBytes || left.readUInt8(1) !== 0xfe) return other;
    const record = { type: left.readUInt8(0), epoch: left.readUInt16BE(3), length: left.readUInt16BE(11) };
    if (left.length < headerBytes + record.length) return other;
    records.push(record);
    left = left.subarray(headerBytes + record.length);
  }
  return records.length === 0 ? other : { kind: "dtls", records };
}

/** Bytes of plaintext in a protected record. */
export function plainLength(record: DtlsRecord): number {
  return record.length - gcmBytes;
}
