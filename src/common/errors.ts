import { inspect } from "node:util";

/**
 * One error class for everything a user may see, and one table of its codes.
 * The table gives each code its exit code (DESIGN section 2) and its gRPC status number (grpc-js `status`).
 */
export const errorTable = {
  internal: { exit: 1, grpc: 13 },
  failed: { exit: 1, grpc: 9 },
  "already-exists": { exit: 1, grpc: 6 },
  "not-found": { exit: 1, grpc: 5 },
  conflict: { exit: 1, grpc: 6 },
  cancelled: { exit: 130, grpc: 1 },
  usage: { exit: 2, grpc: 3 },
  ambiguous: { exit: 2, grpc: 3 },
  "not-permitted": { exit: 4, grpc: 7 },
  "not-configured": { exit: 6, grpc: 5 },
  "daemon-down": { exit: 7, grpc: 14 },
  "no-reply": { exit: 8, grpc: 4 },
  degraded: { exit: 9, grpc: 9 },
} as const;

export type ErrorCode = keyof typeof errorTable;

export interface ErrorDetails {
  /** What to do about it: one line, usually a command. */
  hint?: string;
  /** Structured context, for logs and ErrorInfo metadata. Never a secret. */
  fields?: Readonly<Record<string, string | number>>;
  cause?: unknown;
}

export class VpnError extends Error {
  override readonly name = "VpnError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly fields: Readonly<Record<string, string | number>>;

  /** @param message one line of what happened, lower case, without a full stop */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.hint = details.hint;
    this.fields = details.fields ?? {};
  }

  get exitCode(): number {
    return errorTable[this.code].exit;
  }

  /** Turns whatever was thrown into a VpnError; only at boundaries. */
  static from(thrown: unknown, code: ErrorCode = "internal"): VpnError {
    if (thrown instanceof VpnError) return thrown;
    if (thrown instanceof Error) return new VpnError(code, thrown.message, { cause: thrown });
    // Not String(): an object may refuse to be one.
    return new VpnError(
      code,
      typeof thrown === "string" ? thrown : inspect(thrown, { customInspect: false }),
    );
  }
}
