import { parseRulePeer, type RulePeer } from "./rule-peer.js";
import { limits, type Rule, type Rules } from "./rules.js";
import { parseService, serviceText } from "./service.js";

/** Rules as JSON, for the disk. */
export function rulesJson({ rules, others }: Rules): object {
  return {
    others,
    rules: rules.map(({ verdict, services, from }) => ({
      verdict,
      services: services.map(serviceText),
      from,
    })),
  };
}

/** Reads what `rulesJson` made. @throws Error that says what is wrong: rules that cannot be read must not become none */
export function parseRules(value: unknown): Rules {
  if (!isObject(value) || !isVerdict(value.others) || !Array.isArray(value.rules)) {
    throw new Error("it lacks rules, or they have the wrong types");
  }
  if (value.rules.length > limits.rules) throw new Error("it has too many rules");
  return { others: value.others, rules: value.rules.map(parseRule) };
}

function parseRule(value: unknown): Rule {
  if (!isObject(value) || !isVerdict(value.verdict)) throw new Error("it has a rule that is none");
  const { verdict, services, from } = value;
  if (!Array.isArray(services) || !services.every((one) => typeof one === "string") || !Array.isArray(from)) {
    throw new Error("it has a rule that lacks fields");
  }
  if (services.length > limits.services || from.length > limits.peers)
    throw new Error("it has a rule that is too large");
  return { verdict, services: services.map(parseService), from: from.map(parsePeer) };
}

function parsePeer(value: unknown): RulePeer {
  if (!isObject(value)) throw new Error("it has a rule for a peer that is none");
  const { name, virtualIp } = value;
  const given = { name: text(name), virtualIp: text(virtualIp) };
  const ip = given.virtualIp === undefined ? undefined : parseRulePeer(given.virtualIp, "", []).virtualIp;
  if ((given.virtualIp !== undefined && ip === undefined) || (given.name === undefined && ip === undefined)) {
    throw new Error("it has a rule for a peer that is none");
  }
  return {
    ...(given.name !== undefined && { name: given.name }),
    ...(ip !== undefined && { virtualIp: ip }),
  };
}

function text(value: unknown): string | undefined {
  if (value === undefined || typeof value === "string") return value;
  throw new Error("it has a rule for a peer that is none");
}

const isVerdict = (value: unknown): value is "allow" | "deny" => value === "allow" || value === "deny";

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
