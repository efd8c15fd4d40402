import assert from "node:assert/strict";
import { describe, it } from "node:test";
import dnsPacket from "dns-packet";
import { fitted, isAnswerTo } from "./upstream.js";

const question = dnsPacket.encode({ type: "query", id: 7, questions: [{ name: "example.com", type: "A" }] });
const answer = (id: number, name: string, type: "A" | "AAAA" = "A", flags = 0) =>
  dnsPacket.encode({
    type: "response",
    id,
    flags,
    questions: [{ name, type }],
    answers: [{ name, type: "TXT", data: "x".repeat(200) }],
  });

describe("answers of servers", () => {
  it("are taken when they are of the question asked", () => {
    assert.ok(isAnswerTo(question, answer(7, "example.com")));
    assert.ok(isAnswerTo(question, answer(7, "EXAMPLE.com")));
    assert.ok(!isAnswerTo(question, answer(8, "example.com")));
    assert.ok(!isAnswerTo(question, answer(7, "example.org")));
    assert.ok(!isAnswerTo(question, answer(7, "example.com", "AAAA")));
    assert.ok(!isAnswerTo(question, question), "no answer at all");
    assert.ok(!isAnswerTo(question, Buffer.alloc(5)));
  });

  it("may leave the question out only to refuse", () => {
    const bare = (rcode: number) => dnsPacket.encode({ type: "response", id: 7, flags: rcode });
    assert.ok(isAnswerTo(question, bare(5)));
    assert.ok(!isAnswerTo(question, bare(0)));
  });

  it("are cut to the question when they do not fit", () => {
    const long = answer(7, "example.com");
    assert.equal(fitted(question, long, 512), long);
    const cut = dnsPacket.decode(fitted(question, long, 100));
    assert.equal(cut.flag_tc, true);
    assert.equal(cut.questions?.[0]?.name, "example.com");
    assert.equal(cut.answers?.length, 0);
  });
});
