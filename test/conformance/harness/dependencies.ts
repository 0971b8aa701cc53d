/** Which feature needs which: virtio 1.4 §5.1.3.1, and what the text of §5.1.9.5 asks for besides. */

import { ALL_FEATURES, FEATURE_BIT, type Feature } from "./numbers.ts";

/** Each feature with sets of features of which it needs one member each. */
const NEEDS: Partial<Record<Feature, readonly (readonly Feature[])[]>> = {
  GUEST_TSO4: [["GUEST_CSUM"]],
  GUEST_TSO6: [["GUEST_CSUM"]],
  GUEST_ECN: [["GUEST_TSO4", "GUEST_TSO6"]],
  GUEST_UFO: [["GUEST_CSUM"]],
  GUEST_USO4: [["GUEST_CSUM"]],
  GUEST_USO6: [["GUEST_CSUM"]],
  HOST_TSO4: [["CSUM"]],
  HOST_TSO6: [["CSUM"]],
  HOST_ECN: [["HOST_TSO4", "HOST_TSO6"]],
  HOST_UFO: [["CSUM"]],
  HOST_USO: [["CSUM"]],
  CTRL_RX: [["CTRL_VQ"]],
  CTRL_VLAN: [["CTRL_VQ"]],
  CTRL_RX_EXTRA: [["CTRL_VQ"]],
  CTRL_GUEST_OFFLOADS: [["CTRL_VQ"]],
  GUEST_ANNOUNCE: [["CTRL_VQ"]],
  MQ: [["CTRL_VQ"]],
  CTRL_MAC_ADDR: [["CTRL_VQ"]],
  NOTF_COAL: [["CTRL_VQ"]],
  VQ_NOTF_COAL: [["CTRL_VQ"]],
  RSS: [["CTRL_VQ"]],
  HASH_REPORT: [["CTRL_VQ"]],
  DEVICE_STATS: [["CTRL_VQ"]],
};

export function isLegal(features: ReadonlySet<Feature>): boolean {
  return [...features].every((name) => hasNeeds(name, features));
}

/** `features` without those whose needs are not met. */
export function legalPart(features: Iterable<Feature>): Set<Feature> {
  const legal = new Set(features);
  for (let before = -1; before !== legal.size; ) {
    before = legal.size;
    for (const name of legal) if (!hasNeeds(name, legal)) legal.delete(name);
  }
  return legal;
}

function hasNeeds(name: Feature, features: ReadonlySet<Feature>): boolean {
  return (NEEDS[name] ?? []).every((oneOf) => oneOf.some((need) => features.has(need)));
}

/** The features of a 128-bit set that have a name. */
export function featuresOf(bits: bigint): Set<Feature> {
  return new Set(ALL_FEATURES.filter((name) => ((bits >> BigInt(FEATURE_BIT[name])) & 1n) === 1n));
}

/** Features with needs, each with the sets of which it needs a member. */
export const DEPENDENT = Object.entries(NEEDS) as [Feature, readonly (readonly Feature[])[]][];
