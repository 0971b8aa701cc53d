/** Ids, capabilities and where the structures lie on PCI: virtio 1.4 §4.1.2 to §4.1.4. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { CardOptions } from "./harness/device-host.mjs";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import type { VirtioCapability } from "./harness/pci-driver.ts";
import {
  CAP_VENDOR,
  CFG_COMMON,
  CFG_DEVICE,
  CFG_ISR,
  CFG_NOTIFY,
  CFG_PCI,
  COMMON,
  PCI_CONFIG,
} from "./harness/pci-numbers.ts";

/** What lies where does not depend on the ring. */
const ON_PCI = { transports: ["PCI"], rings: ["split"] } as const;

/** Each kind of BAR, and a card of eight pairs. */
const CARDS: readonly [string, CardOptions][] = [
  ["a 32-bit memory BAR", {}],
  ["a 64-bit memory BAR", { pci: { bar: "memory64" } }],
  ["an I/O BAR", { pci: { bar: "io" } }],
  ["eight pairs of queues", { pairs: 8 }],
  ["eight pairs of queues, and an I/O BAR", { pairs: 8, pci: { bar: "io" } }],
];

function barBytes(dut: DeviceUnderTest, { bar }: VirtioCapability): number {
  return dut.pci.pci.bars.find(({ index }) => index === bar)!.sizeBytes;
}

/** queue_notify_off of every queue that the card has. */
function notifyOffs(dut: DeviceUnderTest): number[] {
  return Array.from({ length: dut.pci.common("numQueues") }, (_, index) => {
    dut.pci.setCommon("queueSelect", index);
    return dut.pci.common("queueNotifyOff");
  });
}

conformance(
  "Vendor and device say: virtio, network, not transitional",
  ["PDISC-1", "PDISC-2", "PDISC-4"],
  ON_PCI,
  (dut) => {
    const { pci } = dut.pci;
    expect(pci.read(PCI_CONFIG.vendorId, 2)).toBe(0x1af4);
    expect(pci.read(PCI_CONFIG.deviceId, 2)).toBe(0x1041);
    pci.write(PCI_CONFIG.vendorId, 4, 0);
    expect(pci.read(PCI_CONFIG.vendorId, 4)).toBe(0x1041_1af4);
  },
);

conformance(
  "Revision and subsystem are none of a legacy device, whatever the platform names itself",
  ["PDISC-5", "PDISC-6"],
  { ...ON_PCI, card: { pci: { subsystemVendorId: 0x8086, subsystemId: 0x40 } } },
  (dut) => {
    const { pci } = dut.pci;
    expect(pci.read(PCI_CONFIG.revisionId, 1)).toBeGreaterThanOrEqual(1);
    expect(pci.read(PCI_CONFIG.subsystemVendorId, 2)).toBe(0x8086);
    expect(pci.read(PCI_CONFIG.subsystemId, 2)).toBe(0x40);
  },
);

conformance("Without the platform's own ids, the subsystem id is no legacy one", ["PDISC-6"], ON_PCI, (dut) => {
  expect(dut.pci.pci.read(PCI_CONFIG.subsystemId, 2)).toBeGreaterThanOrEqual(0x40);
});

for (const [what, card] of CARDS) {
  const options = { ...ON_PCI, card };

  conformance(
    `With ${what}, every structure is there, and the list holds each once`,
    ["PCAP-3", "PCOM-2", "PCFGA-1"],
    options,
    (dut) => {
      // One of each: none is listed before a better one.
      const types = dut.pci.structures.map(({ type }) => type).sort();
      expect(types).toEqual([CFG_COMMON, CFG_NOTIFY, CFG_ISR, CFG_DEVICE, CFG_PCI]);
    },
  );

  conformance(
    `With ${what}, notifications and ISR have a capability, in a BAR that exists`,
    ["PNOT-1", "PISR-1"],
    options,
    (dut) => {
      for (const type of [CFG_NOTIFY, CFG_ISR]) {
        const structure = dut.pci.structure(type);
        expect(structure.length).toBeGreaterThanOrEqual(1);
        expect(structure.offset + structure.length).toBeLessThanOrEqual(barBytes(dut, structure));
      }
    },
  );

  conformance(`With ${what}, cap_len holds the structure and all that belongs to it`, ["PCAP-1"], options, (dut) => {
    const lengths = new Map(dut.pci.structures.map(({ type, capLength }) => [type, capLength]));
    // struct virtio_pci_cap has 16 bytes; notify_off_multiplier and pci_cfg_data are 4 more.
    expect(lengths.get(CFG_COMMON)).toBeGreaterThanOrEqual(16);
    expect(lengths.get(CFG_NOTIFY)).toBeGreaterThanOrEqual(20);
    expect(lengths.get(CFG_ISR)).toBeGreaterThanOrEqual(16);
    expect(lengths.get(CFG_DEVICE)).toBeGreaterThanOrEqual(16);
    expect(lengths.get(CFG_PCI)).toBeGreaterThanOrEqual(20);
    const places = dut.pci.pci.capabilities.map(({ at }) => at).sort((a, b) => a - b);
    for (const { at, capLength } of dut.pci.structures) {
      const next = places.find((place) => place > at) ?? 0x100;
      expect(at + capLength).toBeLessThanOrEqual(next);
      expect(dut.pci.pci.read(at, 1)).toBe(CAP_VENDOR);
    }
  });

  conformance(`With ${what}, the structures are aligned`, ["PCOM-1", "PDEV-1", "PNOT-8"], options, (dut) => {
    expect(dut.isOffered("NOTIFICATION_DATA")).toBe(true);
    expect(dut.pci.structure(CFG_COMMON).offset % 4).toBe(0);
    expect(dut.pci.structure(CFG_DEVICE).offset % 4).toBe(0);
    expect(dut.pci.structure(CFG_NOTIFY).offset % 4).toBe(0);
  });

  conformance(
    `With ${what} and NOTIFICATION_DATA, queues are notified four bytes or a power of two apart, or at one place`,
    ["PNOT-7", "PNOT-9"],
    options,
    (dut) => {
      expect(dut.isOffered("NOTIFICATION_DATA")).toBe(true);
      const { notifyMultiplier } = dut.pci;
      if (notifyMultiplier !== 0) {
        expect(Number.isInteger(Math.log2(notifyMultiplier))).toBe(true);
        expect(notifyMultiplier % 4).toBe(0);
      }
      expect(dut.pci.structure(CFG_NOTIFY).length).toBeGreaterThanOrEqual(4);
    },
  );

  conformance(
    `With ${what} and NOTIFICATION_DATA, the places of all queues lie within the structure`,
    ["PNOT-10", "PNOT-11"],
    options,
    (dut) => {
      expect(dut.isOffered("NOTIFICATION_DATA")).toBe(true);
      const { length } = dut.pci.structure(CFG_NOTIFY);
      const offs = notifyOffs(dut);
      expect(offs).toHaveLength(2 * (card.pairs ?? 1) + 1);
      for (const off of offs) expect(length).toBeGreaterThanOrEqual(off * dut.pci.notifyMultiplier + 4);
      kickReaches(dut);
    },
  );

  const without = { ...ON_PCI, card: { ...card, withhold: ["NOTIFICATION_DATA"] } };

  conformance(
    `With ${what} and no NOTIFICATION_DATA, notifications are aligned, and an even power of two apart or at one place`,
    ["PNOT-2", "PNOT-3", "PNOT-4"],
    without,
    (dut) => {
      expect(dut.isOffered("NOTIFICATION_DATA")).toBe(false);
      const { offset, length } = dut.pci.structure(CFG_NOTIFY);
      expect(offset % 2).toBe(0);
      expect(length).toBeGreaterThanOrEqual(2);
      const { notifyMultiplier } = dut.pci;
      if (notifyMultiplier === 0) return;
      expect(Number.isInteger(Math.log2(notifyMultiplier))).toBe(true);
      expect(notifyMultiplier % 2).toBe(0);
    },
  );

  conformance(
    `With ${what} and no NOTIFICATION_DATA, the places of all queues lie within the structure`,
    ["PNOT-5", "PNOT-6"],
    without,
    (dut) => {
      const { length } = dut.pci.structure(CFG_NOTIFY);
      for (const off of notifyOffs(dut)) {
        expect(length).toBeGreaterThanOrEqual(off * dut.pci.notifyMultiplier + 2);
      }
      kickReaches(dut);
    },
  );
}

/** The notification of each transmit queue and of the control queue reaches it. */
function kickReaches(dut: DeviceUnderTest): void {
  const pairs = (dut.pci.common("numQueues") - 1) / 2;
  const data = dut.isOffered("NOTIFICATION_DATA") ? (["NOTIFICATION_DATA"] as const) : [];
  dut.bringUp({ features: ["MAC", "CTRL_VQ", ...(pairs > 1 ? (["MQ"] as const) : []), ...data], pairs, size: 4 });
  if (pairs > 1) expect(dut.command(4, 0, [pairs, 0])).toEqual(Uint8Array.of(0));
  for (let pair = 0; pair < pairs; pair++) {
    const queue = dut.queues[2 * pair + 1]!;
    const chain = dut.send(patterned(60 + pair), [], queue);
    expect(queue.collectUsed()).toEqual([chain]);
    expect(dut.sent().map(({ bytes }) => bytes.length)).toEqual([60 + pair]);
  }
}

for (const [field, area] of [
  ["queueDesc", "descriptor area"],
  ["queueDriver", "driver area"],
  ["queueDevice", "device area"],
] as const) {
  conformance(`The halves of the address of the ${area} are written and read one by one`, ["PLAY-1"], ON_PCI, (dut) => {
    const { bar, offset } = dut.pci.structure(CFG_COMMON);
    const low = offset + COMMON[field][0];
    const halves = (): number[] => [0, 4].map((i) => dut.pci.pci.readBar(bar, low + i, 4));
    dut.pci.setCommon("queueSelect", 1);
    dut.pci.pci.writeBar(bar, low + 4, 4, 0x89abcdef);
    expect(halves()).toEqual([0, 0x89abcdef]);
    dut.pci.pci.writeBar(bar, low, 4, 0x12345670);
    expect(halves()).toEqual([0x12345670, 0x89abcdef]);
    dut.pci.pci.writeBar(bar, low + 4, 4, 1);
    expect(halves()).toEqual([0x12345670, 1]);
    dut.pci.setCommon("queueSelect", 0);
    expect(halves()).toEqual([0, 0]);
  });
}

conformance(
  "Rings above 4 GiB work, the high halves of whose addresses are written first",
  ["PLAY-1"],
  { transports: ["PCI"], card: { translated: true } },
  (dut) => {
    dut.negotiate(["MAC", "ACCESS_PLATFORM"]);
    const { bar, offset } = dut.pci.structure(CFG_COMMON);
    const ring = dut.makeRing(8);
    dut.pci.setCommon("queueSelect", 1);
    dut.pci.setCommon("queueSize", 8);
    for (const [field, address] of [
      ["queueDevice", ring.device],
      ["queueDriver", ring.driver],
      ["queueDesc", ring.desc],
    ] as const) {
      dut.pci.pci.writeBar(bar, offset + COMMON[field][0] + 4, 4, 1);
      dut.pci.pci.writeBar(bar, offset + COMMON[field][0], 4, address);
    }
    dut.transport.enableQueue(1);
    dut.adopt(1, ring);
    dut.driverOk();
    const chain = dut.send(patterned(60));
    expect(dut.tx.collectUsed()).toEqual([chain]);
    expect(dut.sent()).toHaveLength(1);
  },
);
