/** How the function shows itself, and where its structures lie: virtio 1.4 §4.1.2, §4.1.4. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
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

const ON_PCI = { transports: ["PCI"] } as const;
const BARS = ["memory", "memory64", "io"] as const;

conformance(
  "Vendor and device are those of a virtio network card",
  ["PDISC-1", "PDISC-2", "PDISC-4"],
  ON_PCI,
  (dut) => {
    const { pci } = dut.pci;
    expect(pci.read(PCI_CONFIG.vendorId, 2)).toBe(0x1af4);
    expect(pci.read(PCI_CONFIG.deviceId, 2)).toBe(0x1040 + 1);
    pci.write(PCI_CONFIG.vendorId, 4, 0xffffffff);
    expect(pci.read(PCI_CONFIG.vendorId, 4)).toBe(0x10411af4);
  },
);

conformance("Revision and subsystem keep legacy drivers away", ["PDISC-5", "PDISC-6"], ON_PCI, (dut) => {
  const { pci } = dut.pci;
  expect(pci.read(PCI_CONFIG.revisionId, 1)).toBeGreaterThanOrEqual(1);
  expect(pci.read(PCI_CONFIG.subsystemId, 2)).toBeGreaterThanOrEqual(0x40);
  pci.write(PCI_CONFIG.subsystemId, 2, 0);
  pci.write(PCI_CONFIG.revisionId, 1, 0);
  expect(pci.read(PCI_CONFIG.revisionId, 1)).toBeGreaterThanOrEqual(1);
  expect(pci.read(PCI_CONFIG.subsystemId, 2)).toBeGreaterThanOrEqual(0x40);
});

for (const bar of BARS) {
  const options = { ...ON_PCI, card: { pci: { bar }, pairs: 4, extra: ["MQ"] } } as const;

  conformance(`Over a BAR of kind ${bar}, each structure is there once`, ["PCAP-3"], options, (dut) => {
    const kinds = dut.pci.structures.map(({ type }) => type);
    expect(kinds.sort()).toEqual([CFG_COMMON, CFG_NOTIFY, CFG_ISR, CFG_DEVICE, CFG_PCI]);
  });

  conformance(
    `Over a BAR of kind ${bar}, the five structures that a driver needs are there`,
    ["PCOM-2", "PNOT-1", "PCFGA-1"],
    options,
    (dut) => {
      for (const type of [CFG_COMMON, CFG_NOTIFY, CFG_ISR, CFG_DEVICE]) expect(isUsable(dut, type)).toBe(true);
      expect(dut.pci.structure(CFG_PCI).capLength).toBe(20);
    },
  );

  conformance(`Over a BAR of kind ${bar}, the ISR status is a structure of its own`, ["PISR-1"], options, (dut) => {
    const isr = dut.pci.structure(CFG_ISR);
    expect(isr.length).toBeGreaterThanOrEqual(1);
    const others = [CFG_COMMON, CFG_NOTIFY, CFG_DEVICE].map((type) => dut.pci.structure(type));
    for (const other of others.filter((structure) => structure.bar === isr.bar)) {
      expect(isr.offset >= other.offset + other.length || isr.offset + isr.length <= other.offset).toBe(true);
    }
  });

  conformance(
    `Over a BAR of kind ${bar}, common and device configuration are aligned to 4 bytes`,
    ["PCOM-1", "PDEV-1"],
    options,
    (dut) => {
      expect(dut.pci.structure(CFG_COMMON).offset % 4).toBe(0);
      expect(dut.pci.structure(CFG_COMMON).length).toBeGreaterThanOrEqual(60);
      expect(dut.pci.structure(CFG_DEVICE).offset % 4).toBe(0);
      expect(dut.pci.structure(CFG_DEVICE).length).toBeGreaterThanOrEqual(24);
    },
  );

  conformance(`Over a BAR of kind ${bar}, cap_len covers all that follows cap_vndr`, ["PCAP-1"], options, (dut) => {
    const places = dut.pci.pci.capabilities.map(({ at }) => at);
    for (const { at, type, capLength } of dut.pci.structures) {
      // notify_off_multiplier and pci_cfg_data come after the structure of 16 bytes.
      expect(capLength).toBe(type === CFG_NOTIFY || type === CFG_PCI ? 20 : 16);
      for (const other of places) expect(other <= at || other >= at + capLength).toBe(true);
      expect(at + capLength).toBeLessThanOrEqual(256);
    }
    expect(dut.pci.pci.capabilities.filter(({ id }) => id === CAP_VENDOR)).toHaveLength(dut.pci.structures.length);
  });

  const withhold = ["NOTIFICATION_DATA"];
  const plain = { ...options, card: { ...options.card, withhold } };
  conformance(
    `Over a BAR of kind ${bar} without NOTIFICATION_DATA, notifications are aligned and have room`,
    ["PNOT-2", "PNOT-3", "PNOT-4"],
    plain,
    (dut) => {
      const { offset, length } = dut.pci.structure(CFG_NOTIFY);
      const multiplier = dut.pci.notifyMultiplier;
      expect(dut.isOffered("NOTIFICATION_DATA")).toBe(false);
      expect(offset % 2).toBe(0);
      expect(multiplier === 0 || (multiplier % 2 === 0 && Number.isInteger(Math.log2(multiplier)))).toBe(true);
      expect(length).toBeGreaterThanOrEqual(2);
    },
  );

  conformance(
    `Over a BAR of kind ${bar} without NOTIFICATION_DATA, there is room for 2 bytes of every queue`,
    ["PNOT-5", "PNOT-6"],
    plain,
    (dut) => checkNotifyRoom(dut, 2),
  );

  conformance(
    `Over a BAR of kind ${bar} with NOTIFICATION_DATA, notifications are aligned and have room`,
    ["PNOT-7", "PNOT-8", "PNOT-9"],
    options,
    (dut) => {
      const { offset, length } = dut.pci.structure(CFG_NOTIFY);
      const multiplier = dut.pci.notifyMultiplier;
      expect(dut.isOffered("NOTIFICATION_DATA")).toBe(true);
      expect(multiplier === 0 || (multiplier % 4 === 0 && Number.isInteger(Math.log2(multiplier)))).toBe(true);
      expect(offset % 4).toBe(0);
      expect(length).toBeGreaterThanOrEqual(4);
    },
  );

  conformance(
    `Over a BAR of kind ${bar} with NOTIFICATION_DATA, there is room for 4 bytes of every queue`,
    ["PNOT-10", "PNOT-11"],
    options,
    (dut) => checkNotifyRoom(dut, 4),
  );
}

/** The structure lies in a BAR, and something answers there. */
function isUsable(dut: DeviceUnderTest, type: number): boolean {
  const { bar: index, offset, length } = dut.pci.structure(type);
  const bar = dut.pci.pci.bars.find((candidate) => candidate.index === index);
  return bar !== undefined && length > 0 && offset + length <= bar.sizeBytes;
}

/** All queues, whether the driver negotiates MQ or not. */
function checkNotifyRoom(dut: DeviceUnderTest, bytes: number): void {
  const { length, offset, bar: index } = dut.pci.structure(CFG_NOTIFY);
  for (const features of [["CTRL_VQ"], ["CTRL_VQ", "MQ"]] as const) {
    expect(dut.negotiate(features)).toBe(true);
    const queues = dut.pci.common("numQueues");
    expect(queues).toBe(9);
    for (let queue = 0; queue < queues; queue++) {
      dut.pci.setCommon("queueSelect", queue);
      const at = dut.pci.common("queueNotifyOff") * dut.pci.notifyMultiplier;
      expect(length).toBeGreaterThanOrEqual(at + bytes);
    }
  }
  const { sizeBytes } = dut.pci.pci.bars.find((candidate) => candidate.index === index)!;
  expect(offset + length).toBeLessThanOrEqual(sizeBytes);
}

// --- the window of configuration space: §4.1.4.9 ---------------------------------------------------------------------

/** Points the window at so many bytes of a BAR, and gives where pci_cfg_data lies. */
function pointWindow(dut: DeviceUnderTest, bar: number, offset: number, length: number): number {
  const { at } = dut.pci.structure(CFG_PCI);
  dut.pci.pci.write(at + 4, 1, bar);
  dut.pci.pci.write(at + 8, 4, offset);
  dut.pci.pci.write(at + 12, 4, length);
  return at + 16;
}

conformance(
  "Reading pci_cfg_data reads the BAR, in 1, 2 and 4 bytes",
  ["PCFGA-3"],
  { ...ON_PCI, card: { mac: [2, 0x11, 0x22, 0x33, 0x44, 0x55] } },
  (dut) => {
    const { pci } = dut.pci;
    const { bar, offset } = dut.pci.structure(CFG_DEVICE);
    expect(pci.read(pointWindow(dut, bar, offset, 4), 4)).toBe(0x33221102);
    expect(pci.read(pointWindow(dut, bar, offset + 4, 2), 2)).toBe(0x5544);
    expect(pci.read(pointWindow(dut, bar, offset + 3, 1), 1)).toBe(0x33);
    const common = dut.pci.structure(CFG_COMMON);
    dut.pci.setCommon("queueSelect", 1);
    const [sizeAt] = COMMON.queueSize;
    expect(pci.read(pointWindow(dut, common.bar, common.offset + sizeAt, 2), 2)).toBe(dut.transport.queueSizeMax(1));
  },
);

conformance(
  "Reading through the window has the effect of the read",
  ["PCFGA-3", "PISR-5"],
  { ...ON_PCI, card: { intx: true } },
  (dut) => {
    dut.bringUp();
    dut.setLinkUp(false);
    expect(dut.lineAsserted).toBe(true);
    const { bar, offset } = dut.pci.structure(CFG_ISR);
    const data = pointWindow(dut, bar, offset, 1);
    expect(dut.pci.pci.read(data, 1)).toBe(2);
    expect(dut.lineAsserted).toBe(false);
    expect(dut.pci.pci.read(data, 1)).toBe(0);
  },
);

conformance(
  "Writing pci_cfg_data writes the BAR: a driver can come up by the window alone",
  ["PCFGA-2"],
  ON_PCI,
  (dut) => {
    const { pci } = dut.pci;
    const { bar, offset } = dut.pci.structure(CFG_COMMON);
    const write = (field: keyof typeof COMMON, value: number): void => {
      const [at, bytes] = COMMON[field];
      pci.write(pointWindow(dut, bar, offset + at, bytes), bytes, value);
    };
    write("deviceStatus", 1);
    write("deviceStatus", 3);
    expect(dut.status).toBe(3);
    write("queueSelect", 1);
    write("queueSize", 32);
    expect(dut.pci.common("queueSelect")).toBe(1);
    expect(dut.pci.common("queueSize")).toBe(32);
    write("driverFeatureSelect", 1);
    write("driverFeature", 1);
    expect(dut.pci.common("driverFeature")).toBe(1);
    write("deviceStatus", 0);
    expect(dut.status).toBe(0);
  },
);

conformance("A window that points nowhere does no harm", ["PCFGA-2", "PCFGA-3"], ON_PCI, (dut) => {
  dut.bringUp();
  const { pci } = dut.pci;
  const { bar, offset } = dut.pci.structure(CFG_COMMON);
  for (const [at, length] of [
    [offset + 20, 3],
    [offset + 20, 0],
    [offset + 21, 4],
    [2 ** 31, 4],
    [0xffffffff, 1],
  ] as const) {
    const data = pointWindow(dut, bar, at, length);
    pci.write(data, 4, 0);
    pci.read(data, 4);
  }
  pci.write(pointWindow(dut, 5, 0, 4), 4, 0);
  pci.write(pointWindow(dut, 255, 0, 4), 4, 0);
  expect(dut.status).toBe(15);
});
