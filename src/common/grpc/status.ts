import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { Metadata, type ServiceError, type StatusObject, status } from "@grpc/grpc-js";
import { type ErrorCode, type ErrorDetails, errorTable, VpnError } from "../errors.js";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../gen/google/rpc/status_pb.js";

const detailsKey = "grpc-status-details-bin";
const domain = "vpnd";
const hintKey = "hint";
/** Trailers share the HTTP/2 header limit; longer texts are cut. */
const longestText = 1024;

/** The gRPC status by which a server reports an error, with google.rpc.Status and ErrorInfo in the trailer. */
export function toStatus(error: VpnError): Pick<StatusObject, "code" | "details" | "metadata"> {
  const code = errorTable[error.code].grpc;
  const message = error.message.slice(0, longestText);
  const fields: Record<string, string> = {};
  for (const [key, value] of Object.entries(error.fields)) fields[key] = String(value).slice(0, longestText);
  if (error.hint !== undefined) fields[hintKey] = error.hint.slice(0, longestText);
  const info = create(ErrorInfoSchema, { reason: error.code, domain, metadata: fields });
  const details = create(StatusSchema, { code, message, details: [anyPack(ErrorInfoSchema, info)] });
  const metadata = new Metadata();
  metadata.set(detailsKey, Buffer.from(toBinary(StatusSchema, details)));
  return { code, details: message, metadata };
}

/** The error that a server reported, or one that says what gRPC itself ran into. */
export function fromServiceError(thrown: unknown): VpnError {
  if (thrown instanceof VpnError) return thrown;
  if (!isServiceError(thrown)) return VpnError.from(thrown);
  return fromDetails(thrown) ?? withoutDetails(thrown);
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return (
    thrown instanceof Error && "code" in thrown && typeof thrown.code === "number" && "details" in thrown
  );
}

function fromDetails(error: ServiceError): VpnError | undefined {
  const raw = error.metadata?.get(detailsKey)[0];
  if (!Buffer.isBuffer(raw)) return undefined;
  try {
    const decoded = fromBinary(StatusSchema, raw);
    for (const detail of decoded.details) {
      const info = anyUnpack(detail, ErrorInfoSchema);
      if (info?.domain !== domain || !isErrorCode(info.reason)) continue;
      const { [hintKey]: hint, ...fields } = info.metadata;
      const more: ErrorDetails = { fields, cause: error };
      if (hint !== undefined) more.hint = hint;
      return new VpnError(info.reason, decoded.message, more);
    }
  } catch {
    // A trailer that does not parse says nothing; the plain status remains.
  }
  return undefined;
}

function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(errorTable, text);
}

/** grpc-js puts Node's own messages into `details`; people get a sentence, `--debug` shows the cause. */
function withoutDetails(error: ServiceError): VpnError {
  const cause = error;
  switch (error.code) {
    case status.CANCELLED:
      return new VpnError("cancelled", "cancelled", { cause });
    case status.DEADLINE_EXCEEDED:
      return new VpnError("no-reply", "vpnd did not answer in time", {
        hint: "look at its log: journalctl -u vpnd -n 50; or wait longer: --timeout 60s",
        cause,
      });
    case status.UNAVAILABLE:
      return new VpnError("daemon-down", "vpnd does not answer", {
        hint: "start it: sudo systemctl start vpnd",
        cause,
      });
    case status.PERMISSION_DENIED:
    case status.UNAUTHENTICATED:
      return new VpnError("not-permitted", "not permitted", {
        hint: "run it with sudo, or join the group: sudo usermod -aG vpnd $USER",
        cause,
      });
    case status.UNIMPLEMENTED:
      return new VpnError("failed", "vpnd does not know this request: it is of another version", {
        hint: "compare: vpnctl version",
        cause,
      });
    default:
      return new VpnError("internal", `vpnd failed: ${error.details || error.message}`, {
        hint: "look at its log: journalctl -u vpnd -n 50",
        cause,
      });
  }
}
