/** A tar archive (POSIX.1-1988 ustar) of a few texts. */

export interface TarEntry {
  /** At most 99 ASCII characters. */
  name: string;
  data: Uint8Array;
}

const block = 512;

/** Files that only their owner may read. @param mtime seconds since 1970 */
export function tar(entries: readonly TarEntry[], mtime: number): Uint8Array {
  const parts = entries.flatMap(({ name, data }) => [
    header(name, data.length, mtime),
    data,
    new Uint8Array((block - (data.length % block)) % block),
  ]);
  return Buffer.concat([...parts, new Uint8Array(2 * block)]);
}

function header(name: string, size: number, mtime: number): Uint8Array {
  if (!/^[\x20-\x7e]{1,99}$/.test(name)) throw new RangeError(`no name for a tar entry: ${name}`);
  const bytes = Buffer.alloc(block);
  const number = (value: number, at: number, length: number): void => {
    bytes.write(value.toString(8).padStart(length - 1, "0"), at, "latin1");
  };
  bytes.write(name, 0, "latin1");
  number(0o600, 100, 8);
  number(0, 108, 8);
  number(0, 116, 8);
  number(size, 124, 12);
  number(mtime, 136, 12);
  bytes.write("0", 156, "latin1");
  bytes.write("ustar\0", 257, "latin1");
  bytes.write("00", 263, "latin1");
  // The checksum is taken with its own field as spaces.
  bytes.fill(0x20, 148, 156);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}
