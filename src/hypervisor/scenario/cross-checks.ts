import { UserError } from "../user-error.ts";
import { policyLabel } from "./policies.ts";
import type { GuestSpec, Scenario } from "./scenario.ts";

const ETHERNET_HEADER_BYTES = 14;
/** Linux fills the receive ring with a buffer of a page or less each: 16 MiB. */
const LINUX_RING_MAX = 4096;

/** What no single field can tell: values that contradict each other. `source` begins each message. */
export function checkScenario(scenario: Scenario, source: string): void {
  const refuse = (message: string): never => {
    throw new UserError(source + message);
  };
  checkNames(scenario.guests, refuse);
  if (scenario.kind === "linux") checkLinux(scenario, refuse);
  const { scheduler, costs } = scenario;
  if (scheduler.wakeSliceNs > scheduler.sliceNs) {
    refuse(
      `scheduler.wakeSliceNs: got ${scheduler.wakeSliceNs}; allowed is at most scheduler.sliceNs, ${scheduler.sliceNs}`,
    );
  }
  scenario.guests.forEach((guest, i) => {
    if (costs.refillBatch > guest.ring) {
      refuse(
        `costs.refillBatch: got ${costs.refillBatch}; allowed is at most the ring of guests[${i}], ${guest.ring}, ` +
          "or it would never be refilled",
      );
    }
    checkGuest(guest, `guests[${i}]`, scenario, refuse);
  });
  checkPolicies(scenario, refuse);
  if (scenario.durationNs === null) checkEnd(scenario, refuse);
}

type Refuse = (message: string) => never;

/** A Linux guest runs in real time, and its kernel alone handles what comes. */
function checkLinux(scenario: Scenario, refuse: Refuse): void {
  if (scenario.engine !== "threads") {
    refuse(`engine: got ${scenario.engine}; allowed is threads with kind linux, whose guests run in real time`);
  }
  scenario.guests.forEach((guest, i) => {
    if (guest.app !== "sink") refuse(`guests[${i}].app: got ${guest.app}; allowed is sink with kind linux`);
    if (guest.ring > LINUX_RING_MAX) {
      refuse(`guests[${i}].ring: got ${guest.ring}; allowed is at most ${LINUX_RING_MAX} with kind linux`);
    }
  });
}

function checkNames(guests: readonly GuestSpec[], refuse: Refuse): void {
  const seen = new Map<string, number>();
  guests.forEach((guest, i) => {
    const other = seen.get(guest.name);
    if (other !== undefined) {
      refuse(`guests[${other}] and guests[${i}] are both called "${guest.name}"; allowed are names that differ`);
    }
    seen.set(guest.name, i);
  });
}

function checkGuest(guest: GuestSpec, where: string, scenario: Scenario, refuse: Refuse): void {
  const longest = scenario.mtu + ETHERNET_HEADER_BYTES;
  const { traffic } = guest;
  if ("lengthBytes" in traffic && traffic.lengthBytes > longest) {
    refuse(`${where}.traffic.lengthBytes: got ${traffic.lengthBytes}; allowed is at most mtu + 14, ${longest}`);
  }
  if (guest.sendBytes > longest) {
    refuse(`${where}.sendBytes: got ${guest.sendBytes}; allowed is at most mtu + 14, ${longest}`);
  }
  if (traffic.kind === "requests" && guest.app !== "echo" && guest.app !== "request-response") {
    refuse(
      `${where}: traffic requests waits for answers, which app ${guest.app} does not give; allowed is echo or request-response`,
    );
  }
  if (traffic.kind === "burst") {
    const burstNs = (traffic.burstFrames * traffic.lengthBytes * 8 * 1e9) / scenario.linkRateBps;
    if (burstNs > traffic.periodNs) {
      refuse(
        `${where}.traffic.periodNs: got ${traffic.periodNs}; allowed is at least ${Math.ceil(burstNs)}, ` +
          "what the burst takes at linkRateBps",
      );
    }
  }
}

function checkPolicies(scenario: Scenario, refuse: Refuse): void {
  const seen = new Set<string>();
  for (const policy of scenario.policies) {
    if (policy.name === "cooperative" && policy.overflowIntervalNs > scenario.maxInactiveDelayNs) {
      refuse(
        `policy cooperative: got overflowIntervalNs ${policy.overflowIntervalNs}; allowed is at most ` +
          `maxInactiveDelayNs, ${scenario.maxInactiveDelayNs}`,
      );
    }
    const key = JSON.stringify(policy);
    if (seen.has(key)) refuse(`policies: got ${policyLabel(policy)} twice; allowed are policies that differ`);
    seen.add(key);
  }
}

/** Without a duration the run ends with the traffic, so there must be some, and it must end. */
function checkEnd(scenario: Scenario, refuse: Refuse): void {
  let something = false;
  scenario.guests.forEach((guest, i) => {
    const { traffic } = guest;
    if ("count" in traffic && traffic.count === null) {
      refuse(`guests[${i}].traffic has no count and the run no duration, so it would never end; give one of them`);
    }
    if (traffic.kind !== "none" || (guest.app === "bulk" && guest.sendCount !== null)) something = true;
  });
  if (!something) {
    refuse("no guest has traffic, so the run would end at once; give traffic, a duration, or bulk guests a sendCount");
  }
}
