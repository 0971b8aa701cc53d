import type { GuestSpec, PolicySpec } from "../scenario/scenario.ts";

/** What `notf-coal` has a guest ask for that does not say itself: `ethtool -C rx-usecs 125 rx-frames 64`. */
export const NOTF_COAL_DEFAULT = { maxUsecs: 125, maxPackets: 64 } as const;

/** What the guest is to ask of its card by NOTF_COAL under `policy`; null if nothing. */
export function coalescingUnder(policy: PolicySpec, guest: GuestSpec): { maxUsecs: number; maxPackets: number } | null {
  return guest.coalesce ?? (policy.name === "notf-coal" ? NOTF_COAL_DEFAULT : null);
}
