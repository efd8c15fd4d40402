/** Takes what may be secret out of texts that leave the machine. Better too much than too little. */

export interface Redacted {
  text: string;
  /** What was taken out, by kind, and how often. */
  removed: Readonly<Record<string, number>>;
}

const mark = "[removed]";
const names =
  "psk|pre[-_]?shared[-_]?key|password|passwd|passphrase|secret|secrets|token|credential|node[-_]?seed|seed|private[-_]?key";

/** The order matters: a named value first, whatever it looks like; then what looks like a key. */
const rules: readonly { kind: string; pattern: RegExp; replacement: string }[] = [
  {
    kind: "private key in PEM",
    pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
    replacement: mark,
  },
  { kind: "key made by vpnctl", pattern: /\b(vpsk\d+_)[A-Za-z0-9_+/=-]+/g, replacement: `$1${mark}` },
  {
    kind: "value with a secret's name",
    pattern: new RegExp(
      `(?<![a-z0-9])((?:${names})"?\\s*[:=]\\s*)("(?:[^"\\\\]|\\\\.)*"|'[^']*'|[^\\s,}\\]]+)`,
      "gi",
    ),
    replacement: `$1"${mark}"`,
  },
  {
    kind: "flag with a secret",
    pattern: /(--(?:psk|password|token|secret)[= ])("[^"]*"|'[^']*'|\S+)/g,
    replacement: `$1${mark}`,
  },
  {
    kind: "password in a URL",
    pattern: /(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/@"']+@/gi,
    replacement: `$1${mark}@`,
  },
  {
    kind: "what looks like a key",
    pattern: /(?<![A-Za-z0-9+/_-])(?:[0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{42,44}={0,2})(?![A-Za-z0-9+/=_-])/g,
    replacement: mark,
  },
];

export function redact(text: string): Redacted {
  const removed: Record<string, number> = {};
  let clean = text;
  for (const { kind, pattern, replacement } of rules) {
    clean = clean.replace(pattern, (...found: unknown[]) => {
      // Done by an earlier rule: not counted twice.
      if (String(found[0]).includes(mark)) return String(found[0]);
      removed[kind] = (removed[kind] ?? 0) + 1;
      return replacement.replace("$1", typeof found[1] === "string" ? found[1] : "");
    });
  }
  return { text: clean, removed };
}

/** Keys of JSON documents that are public and look like keys, or tell of keys; taken out of documents as a whole. */
const hiddenKeys = new Set(["pskFingerprint", "fingerprint", "psk", "nodeSeed", "secrets"]);

/** A document of vpnd's without what tells of keys; node keys are public and stay. */
export function redactDocument(value: unknown): { value: unknown; removed: number } {
  let removed = 0;
  const walk = (one: unknown): unknown => {
    if (Array.isArray(one)) return one.map(walk);
    if (typeof one !== "object" || one === null) return one;
    return Object.fromEntries(
      Object.entries(one).map(([key, member]) => {
        if (!hiddenKeys.has(key)) return [key, walk(member)];
        removed += 1;
        return [key, mark];
      }),
    );
  };
  return { value: walk(value), removed };
}
