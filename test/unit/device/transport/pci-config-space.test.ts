import { describe, expect, test } from "vitest";
import { COMMON, PciMachine } from "../../../rings/pci-machine.ts";

describe("the header", () => {
  test("is that of a virtio network card (PDISC-1, PDISC-2, PDISC-5, PDISC-6)", () => {
    const machine = new PciMachine();
    expect([machine.config(0, 2), machine.config(2, 2)]).toEqual([0x1af4, 0x1041]);
    expect(machine.config(8)).toBe(0x02000001);
    expect([machine.config(0x2c, 2), machine.config(0x2e, 2), machine.config(0x3d, 1)]).toEqual([0x1af4, 0x1100, 1]);
    expect(machine.config(6, 2) & 0x10).toBe(0x10);
    const other = new PciMachine({}, { subsystemVendorId: 0x1234, subsystemId: 0x5678, interruptPin: 4 });
    expect([other.config(0x2c), other.config(0x3d, 1)]).toEqual([0x56781234, 4]);
  });

  test("has few bits that can be written, and everything reads the same at every width", () => {
    const machine = new PciMachine();
    const before = Uint8Array.from({ length: 256 }, (_, i) => machine.config(i, 1));
    const window = machine.virtio(5).at;
    const writable = new Set<number>([4, 5, 0x0c, 0x3c]);
    for (let bar = 0; bar < 24; bar++) writable.add(0x10 + bar);
    for (const at of [4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]) writable.add(window + at);
    writable.add(machine.msixAt + 3);
    for (let i = 0; i < 256; i++) machine.setConfig(i, 1, 0xff);
    for (let i = 0; i < 256; i++) if (!writable.has(i)) expect(machine.config(i, 1), `byte ${i}`).toBe(before[i]);
    expect([machine.config(4, 2), machine.config(0x3c, 1), machine.config(machine.msixAt + 2, 2)]).toEqual([
      0x0407, 0xff, 0xc003,
    ]);
    for (let i = 0; i < 256; i += 4) {
      const bytes = [0, 1, 2, 3].map((byte) => machine.config(i + byte, 1));
      if (i >= window && i < window + 20) continue;
      expect(machine.config(i, 2)).toBe(bytes[0]! + bytes[1]! * 256);
      expect(machine.config(i)).toBe(bytes[0]! + bytes[1]! * 256 + bytes[2]! * 65536 + bytes[3]! * 2 ** 24);
    }
  });
});

describe("BARs", () => {
  test("tell their size when all ones are written, and where they are when they are enabled", () => {
    const changes: number[] = [];
    const machine = new PciMachine({}, { onBarChange: (bar) => changes.push(bar) });
    machine.setConfig(0x10, 4, 0xffffffff);
    expect(machine.config(0x10)).toBe(0xffffe000);
    expect(machine.pci.bar(0)).toEqual({ kind: "memory", sizeBytes: 0x2000 });
    machine.setConfig(0x10, 4, 0xfebf_0123);
    expect([machine.config(0x10), machine.pci.barAddress(0), changes]).toEqual([0xfebf0000, null, []]);
    machine.setConfig(4, 2, 2);
    expect([machine.pci.barAddress(0), changes]).toEqual([0xfebf0000, [0]]);
    expect([machine.pci.barAddress(1), machine.pci.barAddress(9), machine.pci.bar(1)]).toEqual([null, null, undefined]);
  });

  test("that the guest has not placed lie nowhere, nor do those whose size it asks for, with their space on", () => {
    for (const bar of ["memory", "memory64", "io"] as const) {
      const changes: (number | null)[] = [];
      const machine = new PciMachine({}, { bar, onBarChange: (index) => changes.push(machine.pci.barAddress(index)) });
      machine.setConfig(4, 2, 7);
      machine.setConfig(0x10, 4, 0xffffffff);
      if (bar === "memory64") machine.setConfig(0x14, 4, 0xffffffff);
      expect([machine.pci.barAddress(0), changes]).toEqual([null, []]);
      machine.setConfig(0x10, 4, 0xd000);
      machine.setConfig(0x14, 4, 0);
      expect(machine.pci.barAddress(0)).toBe(0xd000 - (0xd000 % machine.pci.bar(0)!.sizeBytes));
    }
  });

  test("are where a reset or a restored state has left them, and the embedder is told", () => {
    const changes: [number, number | null][] = [];
    const onBarChange = (bar: number) => changes.push([bar, machine.pci.barAddress(bar)]);
    const machine: PciMachine = new PciMachine({}, { onBarChange });
    machine.setConfig(0x10, 4, 0xfebf_0000);
    machine.setConfig(0x18, 4, 0xfebf_8000);
    machine.setConfig(4, 2, 2);
    const [card, transport] = [machine.card.saveState(machine.nowNs), machine.pci.saveState()];
    changes.length = 0;
    machine.pci.resetFunction(machine.nowNs);
    expect(changes.splice(0)).toEqual([
      [0, null],
      [2, null],
    ]);
    machine.card.restoreState(card, machine.nowNs);
    machine.pci.restoreState(transport, machine.nowNs);
    expect(changes).toEqual([
      [0, 0xfebf_0000],
      [2, 0xfebf_8000],
    ]);
  });

  test("of I/O space are small, and those of 64 bits take two places", () => {
    const io = new PciMachine({}, { bar: "io" });
    io.setConfig(0x10, 4, 0xffffffff);
    expect(io.config(0x10)).toBe(0xffffff81);
    io.setConfig(0x10, 4, 0xc000);
    io.setConfig(4, 2, 1);
    expect([io.pci.barAddress(0), io.pci.barAddress(2)]).toEqual([0xc000, null]);
    const wide = new PciMachine({}, { bar: "memory64" });
    wide.setConfig(0x10, 4, 0xffffffff);
    wide.setConfig(0x14, 4, 0xffffffff);
    expect([wide.config(0x10), wide.config(0x14)]).toEqual([0xffffe004, 0xffffffff]);
    wide.setConfig(0x10, 4, 0x1000_0000);
    wide.setConfig(0x14, 4, 0x12);
    wide.setConfig(4, 2, 2);
    expect(wide.pci.barAddress(0)).toBe(0x12_1000_0000);
  });

  test("hold every structure whole, aligned, and apart (PCOM-1, PNOT-8, PNOT-11, PDEV-1)", () => {
    for (const bar of ["memory", "io", "memory64"] as const) {
      const machine = new PciMachine({ pairs: 3, extra: ["MQ"] }, { bar });
      const size = machine.pci.bar(0)!.sizeBytes;
      const ranges = [1, 2, 3, 4].map((type) => machine.virtio(type));
      for (const { offset, length } of ranges) expect(offset + length).toBeLessThanOrEqual(size);
      for (const a of ranges)
        for (const b of ranges)
          if (a !== b) expect(a.offset < b.offset + b.length && b.offset < a.offset + a.length).toBe(false);
      expect([machine.virtio(1).offset % 4, machine.virtio(2).offset % 4, machine.virtio(4).offset % 4]).toEqual([
        0, 0, 0,
      ]);
      const multiplier = machine.config(machine.virtio(2).at + 16);
      for (let queue = 0; queue < 7; queue++) {
        machine.setCommon(COMMON.QUEUE_SELECT, 2, queue);
        expect(machine.common(COMMON.QUEUE_NOTIFY_OFF, 2) * multiplier + 4).toBeLessThanOrEqual(
          machine.virtio(2).length,
        );
      }
    }
  });
});

describe("the window of PCI_CFG", () => {
  test("reads and writes any structure, at 1, 2 and 4 bytes (PCFGA-2, PCFGA-3)", () => {
    const machine = new PciMachine();
    const { at } = machine.virtio(5);
    const aim = (offset: number, length: number, bar = 0) => {
      machine.setConfig(at + 4, 1, bar);
      machine.setConfig(at + 8, 4, offset);
      machine.setConfig(at + 12, 4, length);
    };
    aim(COMMON.NUM_QUEUES, 2);
    expect([machine.config(at + 16), machine.config(at + 16, 2)]).toEqual([3, 3]);
    aim(COMMON.DEVICE_STATUS, 1);
    machine.setConfig(at + 16, 1, 1);
    expect([machine.status, machine.config(at + 16, 1)]).toEqual([1, 1]);
    aim(COMMON.DRIVER_FEATURE_SELECT, 4);
    machine.setConfig(at + 16, 4, 0x12345678);
    expect(machine.common(COMMON.DRIVER_FEATURE_SELECT, 4)).toBe(0x12345678);
    aim(0, 4, 2);
    machine.setConfig(at + 16, 4, 0xfee00000);
    expect(machine.read(2, 0, 4)).toBe(0xfee00000);
    expect(machine.faults).toEqual([]);
  });

  test("aimed at what is not there does nothing, and is a fault", () => {
    const machine = new PciMachine();
    const { at } = machine.virtio(5);
    for (const [bar, offset, length] of [
      [1, 0, 4],
      [6, 0, 4],
      [255, 0, 4],
      [0, 0x2000, 4],
      [0, 0xfffffffc, 4],
      [0, 2, 4],
      [0, 0, 3],
      [0, 0, 0xffffffff],
    ] as const) {
      machine.setConfig(at + 4, 1, bar);
      machine.setConfig(at + 8, 4, offset);
      machine.setConfig(at + 12, 4, length);
      machine.faults.length = 0;
      machine.config(at + 16);
      machine.setConfig(at + 16, 4, 0);
      expect(machine.faults, `bar ${bar} offset ${offset} length ${length}`).toEqual([
        "register-access",
        "register-access",
      ]);
    }
  });
});

test("a dump of all configuration space, as by lspci, is no fault", () => {
  const machine = new PciMachine();
  for (let at = 0; at < 256; at += 4) machine.config(at);
  expect(machine.faults).toEqual([]);
});

test("options that no platform has are refused", () => {
  expect(() => new PciMachine({}, { bar: "both" as "io" })).toThrow(
    /bar is both; it must be "memory", "memory64" or "io"/,
  );
  expect(() => new PciMachine({}, { subsystemId: 0x3f })).toThrow(/subsystemId is 63; .* from 64 to 65535/);
  expect(() => new PciMachine({}, { interruptPin: 5 })).toThrow(/interruptPin is 5; .* from 1 to 4/);
  expect(() => new PciMachine({ pairs: 32768, queueSizeMax: 1 })).toThrow(/65537 queues; .* 65535 at most/);
});
