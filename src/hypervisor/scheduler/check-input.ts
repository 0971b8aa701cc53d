import type { SchedulerSpec } from "../scenario/scenario.ts";
import type { SwitchCosts, VcpuSpec } from "./actions.ts";

/** An embedder's misuse throws at once and says what was got and what is allowed. */
export function checkSchedulerInput(
  spec: SchedulerSpec,
  costs: SwitchCosts | null,
  pcpus: number,
  vcpus: readonly VcpuSpec[],
): void {
  if (!Number.isInteger(pcpus) || pcpus < 1) refuse("pcpus", pcpus, "a whole number of 1 or more");
  if (vcpus.length < 1) refuse("vcpus.length", vcpus.length, "1 or more");
  for (const { weight } of vcpus) if (!(weight > 0 && weight < 1e9)) refuse("weight", weight, "above 0, below 1e9");
  checkDuration("sliceNs", spec.sliceNs, 1);
  checkDuration("wakeSliceNs", spec.wakeSliceNs, 1);
  if (!(spec.boostShareMax >= 0 && spec.boostShareMax <= 1)) refuse("boostShareMax", spec.boostShareMax, "0 to 1");
  if (costs === null) return;
  checkDuration("switchNs", costs.switchNs, 0);
  checkDuration("wakeLatencyNs", costs.wakeLatencyNs, costs.switchNs);
}

/** Whole nanoseconds: sums of fractions would drift off the calendar's grid. */
function checkDuration(name: string, valueNs: number, leastNs: number): void {
  if (!Number.isSafeInteger(valueNs) || valueNs < leastNs) refuse(name, valueNs, `whole ns, ${leastNs} or more`);
}

function refuse(name: string, got: number, allowed: string): never {
  throw new RangeError(`Scheduler: ${name} is ${got}; allowed: ${allowed}`);
}
