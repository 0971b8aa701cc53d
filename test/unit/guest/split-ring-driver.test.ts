import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DeviceFault } from "../../../src/guest/device-fault.ts";
import { layOutRam } from "../../../src/guest/ram-layout.ts";
import { RamViews } from "../../../src/guest/ram-views.ts";
import { needEvent, SplitRingDriver } from "../../../src/guest/split-ring-driver.ts";

interface Bench {
  readonly ring: SplitRingDriver;
  readonly view: DataView;
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  /** Plays the device: returns `id` with `bytes`. */
  use(id: number, bytes: number): void;
}

function makeRing(entries: number, eventIdx: boolean): Bench {
  const layout = layOutRam({
    receiveEntries: entries,
    transmitEntries: 2,
    receiveBufferBytes: 16,
    transmitBufferBytes: 16,
  });
  const buffer = new SharedArrayBuffer(layout.endBytes);
  const ram = new RamViews({ buffer, byteOffset: 0, sizeBytes: layout.endBytes });
  const view = new DataView(buffer);
  const { descAddress: desc, availAddress: avail, usedAddress: used } = layout.receiveRing;
  const ring = new SplitRingDriver(ram, layout.receiveRing, eventIdx);
  let usedIdx = 0;
  const use = (id: number, bytes: number): void => {
    view.setUint32(used + 4 + 8 * (usedIdx % entries), id, true);
    view.setUint32(used + 8 + 8 * (usedIdx % entries), bytes, true);
    usedIdx = (usedIdx + 1) & 0xffff;
    view.setUint16(used + 2, usedIdx, true);
  };
  return { ring, view, desc, avail, used, use };
}

/** Reads descriptor `index` of the table at `table`. */
function descriptor(view: DataView, table: number, index: number) {
  const at = table + 16 * index;
  return {
    address: Number(view.getBigUint64(at, true)),
    bytes: view.getUint32(at + 8, true),
    flags: view.getUint16(at + 12, true),
    next: view.getUint16(at + 14, true),
  };
}

describe("needEvent", () => {
  it("is true exactly if one of the indices that were passed is the event", () => {
    const index = fc.integer({ min: 0, max: 0xffff });
    fc.assert(
      fc.property(
        index,
        index,
        fc.integer({ min: 0, max: 300 }),
        fc.integer({ min: -5, max: 305 }),
        (old, far, n, near) => {
          for (const event of [far, (old + near) & 0xffff]) {
            let passed = false;
            for (let i = 0; i < n; i++) passed ||= ((old + i) & 0xffff) === event;
            expect(needEvent(event, (old + n) & 0xffff, old)).toBe(passed);
          }
        },
      ),
    );
  });

  it("holds across the wrap from 65535 to 0", () => {
    expect(needEvent(0xffff, 0, 0xffff)).toBe(true);
    expect(needEvent(0, 0, 0xffff)).toBe(false);
    expect(needEvent(0, 1, 0xfffe)).toBe(true);
  });
});

describe("the driver's end of a split ring", () => {
  it("writes descriptors as §2.7.5 lays them out, and shows them only by avail.idx", () => {
    const { ring, view, desc, avail } = makeRing(8, true);
    const first = ring.addBuffer(0x1000, 100, true);
    const second = ring.addBuffer(0x2000, 200, false);
    expect(view.getUint16(avail + 2, true)).toBe(0);
    ring.publish();
    expect(view.getUint16(avail + 2, true)).toBe(2);
    expect(view.getUint16(avail + 4, true)).toBe(first);
    expect(view.getUint16(avail + 6, true)).toBe(second);
    expect(descriptor(view, desc, first)).toEqual({ address: 0x1000, bytes: 100, flags: 2, next: 0 });
    expect(descriptor(view, desc, second)).toEqual({ address: 0x2000, bytes: 200, flags: 0, next: 0 });
    expect(ring.exposed).toBe(2);
  });

  it("chains several elements, readable ones first, and gets all descriptors back", () => {
    const { ring, view, desc, use } = makeRing(8, true);
    ring.elementAddress.set([0x100, 0x200, 0x300]);
    ring.elementBytes.set([2, 1, 8]);
    const head = ring.addChain(1, 2);
    const chain = [descriptor(view, desc, head)];
    while (chain.at(-1)!.flags & 1) chain.push(descriptor(view, desc, chain.at(-1)!.next));
    expect(chain.map(({ address, bytes, flags }) => [address, bytes, flags])).toEqual([
      [0x100, 2, 1],
      [0x200, 1, 3],
      [0x300, 8, 2],
    ]);
    expect(ring.freeDescriptors).toBe(5);
    ring.publish();
    use(head, 9);
    expect(ring.refreshUsed()).toBe(1);
    expect(ring.takeUsed()).toBe(3);
    ring.release(ring.usedHead, 3);
    expect(ring.freeDescriptors).toBe(8);
    const heads = new Set(Array.from({ length: 8 }, () => ring.addBuffer(0, 1, true)));
    expect(heads.size).toBe(8);
  });

  it("puts a chain into an indirect table behind a single descriptor without NEXT (§2.7.5.3.1)", () => {
    const { ring, view, desc } = makeRing(8, true);
    const table = layOutRam({
      receiveEntries: 8,
      transmitEntries: 2,
      receiveBufferBytes: 16,
      transmitBufferBytes: 16,
    }).transmitTablesAddress;
    ring.elementAddress.set([0x100, 0x200]);
    ring.elementBytes.set([12, 60]);
    const head = ring.addIndirect(table, 2, 0);
    expect(descriptor(view, desc, head)).toEqual({ address: table, bytes: 32, flags: 4, next: 0 });
    expect(descriptor(view, table, 0)).toEqual({ address: 0x100, bytes: 12, flags: 1, next: 1 });
    expect(descriptor(view, table, 1)).toEqual({ address: 0x200, bytes: 60, flags: 0, next: 0 });
    expect(ring.freeDescriptors).toBe(7);
  });

  it("goes round the 16-bit indices with nothing lost, in order or out of it", () => {
    const { ring, view, avail, use } = makeRing(4, true);
    for (let i = 0; i < 4; i++) ring.addBuffer(64 * i, 64, true);
    ring.publish();
    let given = 0;
    for (let round = 0; round < 40_000; round++) {
      // The device returns two buffers of the four, in one order or the other.
      const heads = [0, 1].map((i) => view.getUint16(avail + 4 + 2 * ((given + i) % 4), true));
      if (round % 3 === 0) heads.reverse();
      for (const head of heads) use(head, head + 1);
      given += 2;
      let right = ring.refreshUsed() === 2;
      for (const head of heads) {
        right &&= ring.takeUsed() === 1 && ring.usedHead === head && ring.usedBytes === head + 1;
        ring.recycle(head, 1, 64);
      }
      ring.publish();
      right &&= view.getUint16(avail + 2, true) === ((given + 4) & 0xffff) && ring.exposed === 4;
      if (!right) throw new Error(`wrong in round ${round}`);
    }
    expect(given).toBeGreaterThan(0x10000);
  });

  it("kicks if avail_event was passed, and if it is told to by flags without EVENT_IDX", () => {
    const withEvent = makeRing(8, true);
    withEvent.view.setUint16(withEvent.used + 4 + 8 * 8, 1, true); // avail_event = 1
    withEvent.view.setUint16(withEvent.used, 1, true); // flags MUST be ignored (§2.7.10.1)
    withEvent.ring.addBuffer(0, 1, true);
    expect(withEvent.ring.publish()).toBe(false);
    withEvent.ring.addBuffer(0, 1, true);
    expect(withEvent.ring.publish()).toBe(true);
    withEvent.ring.addBuffer(0, 1, true);
    expect(withEvent.ring.publish()).toBe(false);
    expect(withEvent.ring.publish()).toBe(false); // nothing new

    const withFlags = makeRing(8, false);
    withFlags.ring.addBuffer(0, 1, true);
    expect(withFlags.ring.publish()).toBe(true);
    withFlags.view.setUint16(withFlags.used, 1, true);
    withFlags.ring.addBuffer(0, 1, true);
    expect(withFlags.ring.publish()).toBe(false);
  });

  it("keeps used_event just behind while notifications are off, so that no batch crosses it", () => {
    const { ring, view, avail, use } = makeRing(4, true);
    const usedEvent = () => view.getUint16(avail + 4 + 2 * 4, true);
    for (let i = 0; i < 4; i++) ring.addBuffer(0, 8, true);
    ring.publish();
    for (let taken = 0; taken < 70_000; taken++) {
      ring.disableNotifications();
      let right = usedEvent() === ((taken - 1) & 0xffff);
      for (let batch = 1; batch <= 4; batch++) {
        right &&= !needEvent(usedEvent(), (taken + batch) & 0xffff, taken & 0xffff);
      }
      if (!right) throw new Error(`wrong after ${taken} buffers`);
      use(view.getUint16(avail + 4 + 2 * (taken % 4), true), 0);
      ring.refreshUsed();
      ring.takeUsed();
      ring.recycle(ring.usedHead, 1, 8);
      ring.publish();
    }
    expect(view.getUint16(avail, true)).toBe(0); // flags MUST be 0 with EVENT_IDX (§2.7.7.1)
  });

  it("asks for the next used buffer when notifications go on, and sees what came before", () => {
    const { ring, view, avail, use } = makeRing(8, true);
    for (let i = 0; i < 4; i++) ring.addBuffer(0, 8, true);
    ring.publish();
    ring.disableNotifications();
    expect(ring.enableNotifications()).toBe(0);
    expect(view.getUint16(avail + 4 + 2 * 8, true)).toBe(0);
    use(0, 0);
    expect(ring.enableNotifications()).toBe(1);
    expect(ring.enableNotifications(3)).toBe(1);
    expect(view.getUint16(avail + 4 + 2 * 8, true)).toBe(2);
  });

  it("uses NO_INTERRUPT without EVENT_IDX", () => {
    const { ring, view, avail } = makeRing(8, false);
    ring.disableNotifications();
    expect(view.getUint16(avail, true)).toBe(1);
    ring.enableNotifications();
    expect(view.getUint16(avail, true)).toBe(0);
  });

  it("works with the largest ring that there is", () => {
    const { ring, use } = makeRing(32768, true);
    for (let i = 0; i < 32768; i++) ring.addBuffer(0, 8, true);
    ring.publish();
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 32768; i++) use(i, 8);
      expect(ring.refreshUsed()).toBe(32768);
      for (let i = 0; i < 32768; i++) {
        ring.takeUsed();
        ring.recycle(ring.usedHead, 1, 8);
      }
      ring.publish();
    }
    expect(ring.exposed).toBe(32768);
  });

  describe("counts and throws when the device", () => {
    const faulty: [string, (bench: Bench) => void, RegExp][] = [
      ["returns an id outside the ring", ({ use }) => use(8, 0), /returned id 8/],
      ["returns an id that it was never given", ({ use }) => use(5, 0), /id 5, which is not exposed/],
      ["claims to have written more than it could", ({ use }) => use(0, 65), /used.len of id 0 is 65/],
      ["uses more buffers than it has", ({ view, used }) => view.setUint16(used + 2, 5, true), /5 past the driver's/],
      ["moves used.idx backwards", ({ view, used }) => view.setUint16(used + 2, 0xffff, true), /used.idx is 65535/],
    ];
    it.each(faulty)("%s", (_, misbehave, message) => {
      const bench = makeRing(8, true);
      for (let i = 0; i < 4; i++) bench.ring.addBuffer(0, 64, true);
      bench.ring.publish();
      misbehave(bench);
      expect(() => {
        bench.ring.refreshUsed();
        bench.ring.takeUsed();
      }).toThrow(message);
      expect(bench.ring.violations).toBe(1);
    });

    it("returns one buffer twice", () => {
      const { ring, use } = makeRing(8, true);
      ring.addBuffer(0, 64, true);
      ring.addBuffer(0, 64, true);
      ring.publish();
      use(0, 1);
      use(0, 1);
      ring.refreshUsed();
      ring.takeUsed();
      expect(() => ring.takeUsed()).toThrow(DeviceFault);
    });

    it("takes back part of what it had used", () => {
      const { ring, view, used, use } = makeRing(8, true);
      for (let i = 0; i < 4; i++) ring.addBuffer(0, 64, true);
      ring.publish();
      use(0, 1);
      use(1, 1);
      expect(ring.refreshUsed()).toBe(2);
      view.setUint16(used + 2, 1, true);
      expect(() => ring.refreshUsed()).toThrow(DeviceFault);
    });
  });
});
