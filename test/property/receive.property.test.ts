import fc from "fast-check";
import { expect, test } from "vitest";
import { BUFFERS, CardMachine, frameOf, HEADER_BYTES, PLAIN_FEATURES, RX } from "../rings/card-machine.ts";
import { WRITE } from "../rings/split-driver.ts";

const SIZE = 64;

/** A buffer is the lengths of its descriptors; together they hold at least a header, as a legal driver's do. */
const buffer = fc
  .array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 4 })
  .map((lengths) => (lengths.reduce((a, b) => a + b) < HEADER_BYTES ? [...lengths, HEADER_BYTES] : lengths));

const scenario = fc.record({
  buffers: fc.array(buffer, { maxLength: 12 }),
  frames: fc.array(fc.integer({ min: 14, max: 1514 }), { minLength: 1, maxLength: 12 }),
  budget: fc.integer({ min: 1, max: 8 }),
  guard: fc.nat(8),
});

test("every frame is delivered whole or dropped, and the buffers say exactly which (NRX-2, NRX-3)", () => {
  fc.assert(
    fc.property(scenario, ({ buffers, frames, budget, guard }) => {
      const machine = new CardMachine({ ramBytes: 0x40000 }).bringUp(PLAIN_FEATURES, SIZE);
      machine.card.throttle.vectors[0]!.freeMin = guard;
      // Lay the buffers out, one descriptor after the other, with a gap that must stay untouched.
      const places = new Map<number, { address: number; length: number }[]>();
      let descriptor = 0;
      let address = BUFFERS;
      for (const lengths of buffers) {
        const segments = lengths.map((length) => {
          address += length + 1;
          return { address: address - length - 1, length };
        });
        machine.rx.offerChain(
          descriptor,
          segments.map((segment) => ({ ...segment, flags: WRITE })),
        );
        places.set(descriptor, segments);
        descriptor += lengths.length;
      }
      machine.rx.publish();
      frames.forEach((length, i) => {
        machine.port.arrivals.push({ bytes: frameOf(length, i) });
      });
      for (let i = 0; i < frames.length; i++) machine.poll(budget);

      // Read back what the driver finds.
      const used = machine.rx.takeUsed();
      const found: Uint8Array[] = [];
      const gather = ({ head, length }: { head: number; length: number }): number[] => {
        const bytes = places.get(head)!.flatMap((segment) => [...machine.bytes(segment.address, segment.length)]);
        return bytes.slice(0, length);
      };
      for (let at = 0; at < used.length; ) {
        const first = gather(used[at]!);
        const buffersOfFrame = first[10]! | (first[11]! << 8);
        const parts = used.slice(at, at + buffersOfFrame);
        expect(parts).toHaveLength(buffersOfFrame);
        parts.slice(0, -1).forEach(({ head, length }) => {
          expect(length).toBe(places.get(head)!.reduce((sum, segment) => sum + segment.length, 0));
        });
        found.push(Uint8Array.from(parts.flatMap(gather).slice(HEADER_BYTES)));
        at += buffersOfFrame;
      }
      const dropped = new Set(machine.drops.map(({ id }) => id - 1));
      const expected = frames.map((length, i) => frameOf(length, i)).filter((_, i) => !dropped.has(i));
      expect(found).toEqual(expected);
      const { frames: delivered, dropped: drops } = machine.card.statistics.queues[RX]!;
      expect(delivered + drops).toBe(frames.length);
      expect(machine.faults).toEqual([]);
      for (const segments of places.values()) {
        for (const segment of segments) expect(machine.ram[segment.address + segment.length]).toBe(0xa5);
      }
    }),
    { numRuns: 150 },
  );
});
