import { UserError } from "../user-error.ts";
import { BUILT_IN_POLICIES, DEFAULT_COMPARED, DEFAULT_RUN, POLICY_NAMES } from "./defaults.ts";
import { defined } from "./defined.ts";
import type { PolicySpec } from "./scenario.ts";
import type { PolicyJson } from "./schema.ts";

/** Which policies a command runs, and with which options. */

type Name = PolicySpec["name"];

function isName(name: string): name is Name {
  return (POLICY_NAMES as readonly string[]).includes(name);
}

/** The policy as it is built in; its overflow interval keeps to the scenario's bound (R16). */
function builtIn(name: Name, maxInactiveDelayNs: number): PolicySpec {
  const policy = BUILT_IN_POLICIES.find((known) => known.name === name);
  if (policy === undefined) throw new Error(`policy ${name} has no defaults`);
  if (policy.name !== "cooperative") return policy;
  return { ...policy, overflowIntervalNs: Math.min(policy.overflowIntervalNs, maxInactiveDelayNs) };
}

/** The scenario's list with all options filled in; null if it has none. */
export function completePolicies(
  given: readonly PolicyJson[] | undefined,
  maxInactiveDelayNs: number,
): readonly PolicySpec[] | null {
  if (given === undefined) return null;
  // The schema allows each name its own options only, so the sum of defaults and options is a policy again.
  return given.map((policy) => ({ ...builtIn(policy.name, maxInactiveDelayNs), ...defined(policy) }) as PolicySpec);
}

/** What to run: the names asked for, from the scenario or else as built in; without names, what the scenario lists. */
export function selectPolicies(
  listed: readonly PolicySpec[] | null,
  names: readonly string[] | undefined,
  command: "run" | "compare",
  maxInactiveDelayNs: number,
): readonly PolicySpec[] {
  const fallback = command === "run" ? [DEFAULT_RUN] : DEFAULT_COMPARED;
  const chosen: PolicySpec[] = [];
  if (names === undefined) {
    chosen.push(...(listed ?? fallback.map((name) => builtIn(name, maxInactiveDelayNs))));
  } else {
    for (const name of new Set(names)) {
      if (!isName(name)) {
        throw new UserError(`--policy: got ${JSON.stringify(name)}; allowed is one of ${POLICY_NAMES.join(", ")}`);
      }
      const matching = (listed ?? []).filter((policy) => policy.name === name);
      chosen.push(...(matching.length > 0 ? matching : [builtIn(name, maxInactiveDelayNs)]));
    }
  }
  const choices = chosen.map(policyLabel).join(", ");
  if (command === "run" && chosen.length !== 1) {
    const which = names === undefined ? "the scenario lists" : `--policy ${names[0]} matches`;
    throw new UserError(
      `run takes one policy, but ${which} ${chosen.length}: ${choices}; ` +
        (names === undefined ? "choose with --policy NAME, or use compare" : "leave one of them in the scenario"),
    );
  }
  if (command === "compare" && chosen.length < 2) {
    throw new UserError(`compare takes two policies or more, but got ${choices} alone; use run for one`);
  }
  return chosen;
}

/** The name with those options that tell apart two policies of one name. */
export function policyLabel(policy: PolicySpec): string {
  switch (policy.name) {
    case "fixed":
      return `fixed(${policy.intervalNs / 1000} µs)`;
    case "cooperative":
      return `cooperative(${policy.latencyIntervalNs / 1000} µs, ${policy.overflowIntervalNs / 1000} µs)`;
    case "cooperative-adaptive": {
      const end = policy.sliceEnd ? ", slice end" : "";
      return `cooperative-adaptive(${policy.mode}, ${policy.latencyIntervalNs / 1000} µs${end})`;
    }
    default:
      return policy.name;
  }
}

/** What to call each policy of a comparison: its name, and its options too where the name alone is ambiguous. */
export function policyLabels(policies: readonly PolicySpec[]): string[] {
  return policies.map((policy) => {
    const namesakes = policies.filter((other) => other.name === policy.name);
    return namesakes.length > 1 ? policyLabel(policy) : policy.name;
  });
}
