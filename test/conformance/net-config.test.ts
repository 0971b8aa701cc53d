/** Fields of the device configuration, and what the MTU promises: virtio 1.4 §5.1.4. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import { MAC_ADDR_SET } from "./harness/control-numbers.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { CARD_MAC, patterned } from "./harness/frames.ts";
import { CONFIG, type Feature } from "./harness/numbers.ts";

const FEATURES: readonly Feature[] = ["MAC", "MTU", "STATUS", "SPEED_DUPLEX", "CTRL_VQ", "CTRL_MAC_ADDR"];
const ETHERNET_BYTES = 14;
const TAG_BYTES = 4;
const GSO_ECN = 0x80;

const field = (dut: DeviceUnderTest, name: keyof typeof CONFIG): number =>
  dut.transport.config(CONFIG[name][0], CONFIG[name][1]);

for (const pairs of [2, 3, 64]) {
  conformance(`A device with ${pairs} pairs says so, within 1 and 0x8000`, ["NCFG-1"], { card: { pairs } }, (dut) => {
    expect(dut.isOffered("MQ")).toBe(true);
    expect(field(dut, "maxVirtqueuePairs")).toBe(pairs);
  });
}

for (const mtu of [68, 1280, 9000, 65535]) {
  conformance(`An MTU of ${mtu} is what the device says`, ["NCFG-2"], { card: { mtu } }, (dut) => {
    expect(dut.isOffered("MTU")).toBe(true);
    expect(field(dut, "mtu")).toBe(mtu);
  });
}

conformance("The MTU is 1500 unless the embedder wants another", ["NCFG-3"], (dut) => {
  expect(field(dut, "mtu")).toBe(1500);
});

conformance("The MTU stays as it is, whatever happens to the device", ["NCFG-4"], { card: { mtu: 2000 } }, (dut) => {
  const read = () => expect(field(dut, "mtu")).toBe(2000);
  dut.bringUp({ features: FEATURES });
  read();
  dut.transport.writeConfig(CONFIG.mtu[0], 2, 1234);
  dut.setLinkUp(false);
  read();
  dut.command(...MAC_ADDR_SET, [2, 0, 0, 0, 0, 5]);
  dut.status = 0;
  read();
  dut.replaceBySaved();
  read();
});

/** A frame of `bytes` bytes to the device, tagged if `tagged`. */
function frame(bytes: number, tagged = false): Uint8Array {
  const result = patterned(bytes);
  if (tagged) result.set([...CARD_MAC, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 7, 0x88, 0xb5]);
  return result;
}

conformance("No frame beyond the MTU and its link header is passed to the driver", ["NCFG-5"], (dut) => {
  dut.bringUp({ features: FEATURES });
  const longest = 1500 + ETHERNET_BYTES;
  for (let i = 0; i < 8; i++) dut.offerBuffer(4096);
  dut.receive(
    frame(longest),
    frame(longest + 1),
    frame(longest + TAG_BYTES, true),
    frame(longest + TAG_BYTES + 1, true),
  );
  dut.receive(frame(4000));
  expect(dut.rx.collectUsed().map(({ usedLength }) => usedLength - 12)).toEqual([longest, longest + TAG_BYTES]);
  expect(dut.statistics().queues[0]!.dropped).toBe(3);
});

conformance("Nor is one that is marked ECN, and is not to be segmented", ["NCFG-5"], (dut) => {
  dut.bringUp({ features: [...FEATURES, "MRG_RXBUF", "GUEST_CSUM", "GUEST_TSO4", "GUEST_ECN"] });
  for (let i = 0; i < 4; i++) dut.offerBuffer(4096);
  const longest = 1500 + ETHERNET_BYTES;
  for (const bytes of [longest, longest + 1]) dut.receive({ bytes: frame(bytes), gsoType: GSO_ECN });
  expect(dut.rx.collectUsed().map(({ usedLength }) => usedLength - 12)).toEqual([longest]);
});

conformance("A frame that is marked ECN, and not to be segmented, is sent whole up to the MTU", ["NCFG-6"], (dut) => {
  dut.bringUp({ features: [...FEATURES, "CSUM", "HOST_TSO4", "HOST_ECN"] });
  const whole = frame(1500 + ETHERNET_BYTES);
  dut.send(whole, [0, GSO_ECN]);
  expect(dut.sent().map(({ bytes }) => bytes)).toEqual([whole]);
});

for (const mtu of [68, 1500, 9000]) {
  conformance(`Frames up to an MTU of ${mtu} are sent whole`, ["NCFG-6"], { card: { mtu } }, (dut) => {
    dut.bringUp({ features: FEATURES });
    const lengths = [ETHERNET_BYTES + mtu, ETHERNET_BYTES + mtu - 1, ETHERNET_BYTES + 1];
    for (const length of lengths) dut.send(frame(length));
    expect(dut.sent().map(({ bytes }) => bytes)).toEqual(lengths.map((length) => frame(length)));
  });
}

conformance(
  "The hash key may have 40 bytes, and the table 128 entries",
  ["NCFG-7", "NCFG-8"],
  { card: { pairs: 2 } },
  (dut) => {
    expect(dut.isOffered("RSS")).toBe(true);
    expect(field(dut, "rssMaxKeySize")).toBeGreaterThanOrEqual(40);
    expect(field(dut, "rssMaxIndirectionTableLength")).toBeGreaterThanOrEqual(128);
  },
);

conformance("A device of one pair that reports hashes takes a key of 40 bytes", ["NCFG-7"], (dut) => {
  expect(dut.isOffered("HASH_REPORT")).toBe(true);
  expect(field(dut, "rssMaxKeySize")).toBeGreaterThanOrEqual(40);
});

for (const [speedMbps, shown] of [
  [0, 0],
  [10_000, 10_000],
  [0x7fffffff, 0x7fffffff],
  [undefined, 0xffffffff],
] as const) {
  const card = speedMbps === undefined ? {} : { speedMbps };
  conformance(`The speed is in Mbit/s: ${speedMbps ?? "unknown"} reads ${shown}`, ["NCFG-10"], { card }, (dut) => {
    dut.bringUp({ features: FEATURES });
    expect(field(dut, "speed")).toBe(shown);
  });
}

// §5.1.4 and drivers have 1 for full duplex, the clause has it the other way round; each has these two numbers.
for (const [duplex, shown] of [
  ["half", 0],
  ["full", 1],
  [undefined, 0xff],
] as const) {
  const card = duplex === undefined ? {} : { duplex };
  conformance(`The duplex mode ${duplex ?? "unknown"} reads ${shown}`, ["NCFG-11"], { card }, (dut) => {
    dut.bringUp({ features: FEATURES });
    expect(field(dut, "duplex")).toBe(shown);
  });
}

conformance(
  "Speed and duplex stay as they are while the link is up, and when it has come back",
  ["NCFG-12"],
  { card: { speedMbps: 1000, duplex: "full" } },
  (dut) => {
    dut.bringUp({ features: FEATURES });
    const read = () => [field(dut, "speed"), field(dut, "duplex")];
    dut.offerBuffer();
    dut.receive(frame(100));
    dut.send(frame(100));
    dut.transport.writeConfig(CONFIG.speed[0], 4, 5);
    expect(read()).toEqual([1000, 1]);
    dut.setLinkUp(false);
    dut.setLinkUp(true);
    expect(read()).toEqual([1000, 1]);
  },
);

conformance(
  "Without the control queue neither HASH_REPORT nor CTRL_RX_EXTRA is offered",
  ["NCFG-13", "NCFG-14"],
  { card: { withhold: ["CTRL_VQ"] } },
  (dut) => {
    expect(dut.isOffered("CTRL_VQ")).toBe(false);
    expect(dut.isOffered("HASH_REPORT")).toBe(false);
    expect(dut.isOffered("CTRL_RX_EXTRA")).toBe(false);
  },
);
