import type { EngineFilter } from "./engine-filter.js";

/**
 * Rules for a link to one other end: a rule for an address of it is for all that comes, a rule for others for nothing. Until one is
 * known, rules that deny hold for it and those that allow do not.
 * @param addresses of the other end; none: not known
 */
export function linkFilter(
  { rules, allowOthers }: EngineFilter,
  ...addresses: readonly string[]
): EngineFilter {
  const own = addresses.map((address) => `${address}/${address.includes(":") ? 128 : 32}`);
  return {
    rules: rules.map(({ sources, ...rule }) => {
      if (sources === undefined) return rule;
      const meant =
        own.length === 0 ? !rule.allow && sources.length > 0 : own.some((one) => sources.includes(one));
      return meant ? rule : { ...rule, sources: [] };
    }),
    allowOthers,
  };
}
