/** Which features Linux' own driver knows, release by release, from its sources. */

import { ALL_FEATURES, FEATURE_BIT, type Feature } from "../../conformance/harness/numbers.ts";

/** In no release yet. */
const UNKNOWN: readonly Feature[] = ["CTRL_RX_EXTRA", "IN_ORDER", "NOTIF_CONFIG_DATA", "SUSPEND"];
/** What came after 6.1, and with which version. */
const SINCE: Partial<Record<Feature, number>> = {
  NOTIFICATION_DATA: 6.04,
  GUEST_USO4: 6.02,
  GUEST_USO6: 6.02,
  HOST_USO: 6.02,
  GUEST_HDRLEN: 6.03,
  VQ_NOTF_COAL: 6.06,
  DEVICE_STATS: 6.11,
};
/** 5.10 knows none of these yet. */
const SINCE_AFTER_5_10: readonly Feature[] = ["HASH_REPORT", "RSS", "NOTF_COAL", "RING_RESET"];

/** Bits that the driver of this kernel accepts if they are offered, in order. */
export function knownToDriver(release: string): number[] {
  const [, major = "", minor = ""] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  const version = Number(major) + Number(minor) / 100;
  return ALL_FEATURES.filter((name) => !UNKNOWN.includes(name))
    .filter((name) => version >= (SINCE[name] ?? 0) && (version >= 6.01 || !SINCE_AFTER_5_10.includes(name)))
    .map((name) => FEATURE_BIT[name]);
}
