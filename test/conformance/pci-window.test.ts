/** The window of the PCI_CFG capability, by which a driver without access to BARs drives the device: virtio 1.4 §4.1.4.9. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import { ACKNOWLEDGE, DRIVER, FEATURES_OK, RUNNING, USED_BUFFER } from "./harness/numbers.ts";
import {
  CFG_COMMON,
  CFG_DEVICE,
  CFG_ISR,
  CFG_NOTIFY,
  CFG_PCI,
  COMMON,
  type CommonField,
} from "./harness/pci-numbers.ts";

const ON_PCI = { transports: ["PCI"] } as const;

/** A driver that reaches nothing but configuration space. */
class WindowDriver {
  readonly #dut: DeviceUnderTest;

  constructor(dut: DeviceUnderTest) {
    this.#dut = dut;
  }

  get(field: CommonField): number {
    const { bar, offset } = this.#dut.pci.structure(CFG_COMMON);
    const [at, bytes] = COMMON[field];
    return this.#dut.pci.windowRead(bar, offset + at, Math.min(bytes, 4));
  }

  set(field: CommonField, value: number): void {
    const { bar, offset } = this.#dut.pci.structure(CFG_COMMON);
    const [at, bytes] = COMMON[field];
    this.#dut.pci.windowWrite(bar, offset + at, Math.min(bytes, 4), value);
  }

  notify(index: number): void {
    const { pci } = this.#dut;
    const { bar, offset } = pci.structure(CFG_NOTIFY);
    this.set("queueSelect", index);
    pci.windowWrite(bar, offset + this.get("queueNotifyOff") * pci.notifyMultiplier, 2, index);
  }
}

for (const bar of ["memory", "memory64", "io"] as const) {
  const options = { ...ON_PCI, card: { pci: { bar }, intx: true } };

  conformance(
    `A driver brings the card up and sends through the window alone, onto a BAR of kind ${bar}`,
    ["PCFGA-2", "PCFGA-3"],
    options,
    (dut) => {
      const window = new WindowDriver(dut);
      for (const status of [0, ACKNOWLEDGE, ACKNOWLEDGE | DRIVER]) window.set("deviceStatus", status);
      for (const [word, bits] of [
        [0, 1 << 5],
        [1, dut.combination.ring === "packed" ? 5 : 1],
      ] as const) {
        window.set("driverFeatureSelect", word);
        window.set("driverFeature", bits);
      }
      window.set("deviceStatus", ACKNOWLEDGE | DRIVER | FEATURES_OK);
      expect(window.get("deviceStatus")).toBe(ACKNOWLEDGE | DRIVER | FEATURES_OK);
      const ring = dut.makeRing(8);
      window.set("queueSelect", 1);
      window.set("queueSize", 8);
      window.set("queueDesc", ring.desc);
      window.set("queueDriver", ring.driver);
      window.set("queueDevice", ring.device);
      window.set("queueEnable", 1);
      expect(window.get("queueEnable")).toBe(1);
      expect(window.get("queueSize")).toBe(8);
      window.set("deviceStatus", RUNNING);
      const chain = ring.add([{ address: dut.ram.put([...new Uint8Array(12), ...patterned(60)]), length: 72 }]);
      window.notify(1);
      dut.poll();
      expect(ring.collectUsed()).toEqual([chain]);
      expect(dut.sent().map(({ bytes }) => bytes)).toEqual([patterned(60)]);
      expect(dut.lineAsserted).toBe(true);
      const isr = dut.pci.structure(CFG_ISR);
      expect(dut.pci.windowRead(isr.bar, isr.offset, 1)).toBe(USED_BUFFER);
      expect(dut.lineAsserted).toBe(false);
    },
  );
}

conformance(
  "The window reads each structure as the BAR does, by bytes, halves and words",
  ["PCFGA-3"],
  ON_PCI,
  (dut) => {
    const { bar, offset } = dut.pci.structure(CFG_DEVICE);
    for (const width of [1, 2, 4]) {
      for (let at = 0; at + width <= 12; at += width) {
        expect(dut.pci.windowRead(bar, offset + at, width)).toBe(dut.pci.pci.readBar(bar, offset + at, width));
      }
    }
    expect(dut.pci.windowRead(bar, offset, 4)).toBe(0x00000002);
  },
);

conformance(
  "A read stores its bytes in pci_cfg_data, where the driver may read them one by one",
  ["PCFGA-3"],
  ON_PCI,
  (dut) => {
    const { bar, offset } = dut.pci.structure(CFG_DEVICE);
    const { at } = dut.pci.structure(CFG_PCI);
    // 02:00:00:00:00:01: the last two bytes, by a window of two bytes that is read byte by byte.
    expect(dut.pci.windowRead(bar, offset + 4, 2)).toBe(0x0100);
    expect([16, 17].map((i) => dut.pci.pci.read(at + i, 1))).toEqual([0x00, 0x01]);
  },
);

conformance("A write takes the first `cap.length` bytes of the data, and no more", ["PCFGA-2"], ON_PCI, (dut) => {
  const { pci } = dut;
  const { bar, offset } = pci.structure(CFG_COMMON);
  const { at } = pci.structure(CFG_PCI);
  pci.setCommon("queueSelect", 0);
  pci.pci.write(at + 4, 1, bar);
  pci.pci.write(at + 8, 4, offset + COMMON.queueSelect[0]);
  pci.pci.write(at + 12, 4, 2);
  // queue_size lies behind queue_select, and is not reached by the upper half.
  pci.pci.write(at + 16, 4, 0x0004_0001);
  expect(pci.common("queueSelect")).toBe(1);
  expect(pci.common("queueSize")).toBe(1024);
  pci.pci.write(at + 8, 4, offset + COMMON.deviceFeatureSelect[0]);
  pci.pci.write(at + 12, 4, 4);
  pci.pci.write(at + 16, 4, 0x89abcdef);
  expect(pci.common("deviceFeatureSelect")).toBe(0x89abcdef);
});

conformance(
  "A window that points nowhere reads and writes nothing, and the device goes on",
  ["PCFGA-2", "PCFGA-3"],
  ON_PCI,
  (dut) => {
    dut.bringUp({ features: ["MAC"] });
    const { bar, offset } = dut.pci.structure(CFG_COMMON);
    const status = offset + COMMON.deviceStatus[0];
    for (const [atBar, at, length] of [
      [bar, status, 0],
      [bar, status, 3],
      [bar, status, 8],
      [bar, status + 1, 2],
      [bar, 0xfffffffc, 4],
      [5, status, 1],
      [0xff, status, 1],
    ] as const) {
      const data = dut.pci.structure(CFG_PCI).at;
      dut.pci.pci.write(data + 4, 1, atBar);
      dut.pci.pci.write(data + 8, 4, at);
      dut.pci.pci.write(data + 12, 4, length);
      dut.pci.pci.write(data + 16, 4, 0);
      dut.pci.pci.read(data + 16, 4);
      expect(dut.status).toBe(RUNNING);
    }
    dut.send(patterned(60));
    expect(dut.sent()).toHaveLength(1);
  },
);
