import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import fc from "fast-check";
import { type ErrorCode, errorTable, VpnError } from "../errors.js";
import { fromServiceError, toStatus } from "./status.js";

function serviceError(code: number, details: string, metadata: Metadata): ServiceError {
  return Object.assign(new Error(details), { code, details, metadata });
}

const codes = Object.keys(errorTable).filter((code): code is ErrorCode => Object.hasOwn(errorTable, code));
const text = fc.string({ unit: "grapheme", maxLength: 200 });
const name = fc.stringMatching(/^[a-z]{1,12}$/).filter((key) => key !== "hint");

describe("gRPC status, for any input", () => {
  it("an error arrives as it was sent: code, message, hint, fields", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...codes),
        text,
        fc.option(text, { nil: undefined }),
        fc.dictionary(name, text, { maxKeys: 5, noNullPrototype: true }),
        (code, message, hint, fields) => {
          const sent = new VpnError(code, message, hint === undefined ? { fields } : { fields, hint });
          const carried = toStatus(sent);
          const got = fromServiceError(
            serviceError(carried.code, carried.details, carried.metadata ?? new Metadata()),
          );
          assert.equal(got.code, code);
          assert.equal(got.message, message);
          assert.equal(got.hint, hint);
          assert.deepEqual({ ...got.fields }, fields);
        },
      ),
    );
  });

  it("any trailer and any code give an error that people can read", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 20 }),
        text,
        fc.uint8Array({ maxLength: 300 }),
        (code, details, trailer) => {
          const metadata = new Metadata();
          metadata.set("grpc-status-details-bin", Buffer.from(trailer));
          const got = fromServiceError(serviceError(code, details, metadata));
          assert.ok(got instanceof VpnError && Object.hasOwn(errorTable, got.code));
        },
      ),
    );
    assert.equal(fromServiceError(serviceError(status.UNAVAILABLE, "x", new Metadata())).code, "daemon-down");
  });

  it("whatever is thrown becomes a VpnError", () => {
    fc.assert(
      fc.property(fc.anything(), (thrown) => assert.ok(fromServiceError(thrown) instanceof VpnError)),
    );
  });
});
