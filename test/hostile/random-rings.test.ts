import fc from "fast-check";
import { expect, test } from "vitest";
import { GuestMemory, MmioTransport, NetCard } from "../../src/device/index.ts";
import { frameOf, ListPort, MAC, REG, RUNNING } from "../rings/card-machine.ts";
import { SplitDriver } from "../rings/split-driver.ts";

const SIZE = 4;
const LEAD = 0x1000;
const RAM_BYTES = 0x2000;
const CANARY = 0x5a;

/** Numbers that break things, and some that do not. */
const nasty = fc.oneof(
  fc.constantFrom(0, 1, 2, 3, 4, 5, 7, 8, 12, 15, 16, 17, 32, 64, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000),
  fc.constantFrom(RAM_BYTES - 1, RAM_BYTES, RAM_BYTES - 64, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff),
  fc.nat(RAM_BYTES),
);

const descriptor = fc.record({
  low: nasty,
  high: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: nasty }),
  length: nasty,
  flags: fc.nat(7),
  next: fc.oneof({ weight: 4, arbitrary: fc.nat(SIZE - 1) }, { weight: 1, arbitrary: fc.nat(0xffff) }),
});

const action = fc.oneof(
  fc.record({ do: fc.constant("write" as const), at: fc.nat(SIZE * 3 - 1), descriptor }),
  fc.record({
    do: fc.constant("offer" as const),
    queue: fc.nat(2),
    head: fc.oneof({ weight: 9, arbitrary: fc.nat(SIZE - 1) }, { weight: 1, arbitrary: fc.nat(0xffff) }),
  }),
  fc.record({ do: fc.constant("jump" as const), queue: fc.nat(2), idx: fc.nat(0xffff) }),
  fc.record({ do: fc.constant("poll" as const), frames: fc.nat(4), length: fc.integer({ min: 14, max: 1514 }) }),
  fc.record({ do: fc.constant("poke" as const), at: fc.nat(RAM_BYTES - 1), value: fc.nat(255) }),
  fc.record({ do: fc.constant("register" as const), offset: fc.nat(0x110), value: nasty }),
  fc.record({ do: fc.constant("restart" as const) }),
);

test("nothing that a driver writes into its memory or registers reaches beyond that memory, or throws", () => {
  fc.assert(
    fc.property(fc.array(action, { minLength: 5, maxLength: 60 }), (actions) => {
      const buffer = new ArrayBuffer(LEAD + RAM_BYTES + LEAD);
      const bytes = new Uint8Array(buffer).fill(CANARY);
      bytes.fill(0, LEAD, LEAD + RAM_BYTES);
      const memory = new GuestMemory(buffer, [{ guestAddress: 0, sizeBytes: RAM_BYTES, byteOffset: LEAD }]);
      const port = new ListPort();
      const card = new NetCard({ memory, port, interrupts: { notify: () => {}, wake: () => {} }, mac: MAC });
      const mmio = new MmioTransport(card);
      card.throttle.setGuestState(0, 1, 1, 0);
      const queues = [0, 1, 2].map((index) => new SplitDriver(buffer, LEAD + 0x100 * index, SIZE, 0x100 * index));
      const write = (register: number, value: number) => mmio.write(register, 4, value, 0);

      const start = () => {
        write(REG.STATUS, 0);
        write(REG.STATUS, 3);
        for (const [word, bits] of [
          [0, (1 << 15) | (1 << 17) | (1 << 28) | (1 << 29)],
          [1, 1 | (1 << 11) | (1 << 20) | (1 << 21)],
        ] as const) {
          write(REG.DRIVER_FEATURES_SEL, word);
          write(REG.DRIVER_FEATURES, bits);
        }
        write(REG.STATUS, 11);
        queues.forEach((queue, index) => {
          queue.availIdx = 0;
          bytes.fill(0, queue.avail, queue.end);
          const { table, avail, used } = queue.addresses;
          write(REG.QUEUE_SEL, index);
          write(REG.QUEUE_SIZE, SIZE);
          write(REG.QUEUE_DESC_LOW, table);
          write(REG.QUEUE_DRIVER_LOW, avail);
          write(REG.QUEUE_DEVICE_LOW, used);
          write(REG.QUEUE_READY, 1);
        });
        write(REG.STATUS, RUNNING);
      };

      start();
      for (const step of actions) {
        if (step.do === "write") {
          const { low, high, length, flags, next } = step.descriptor;
          const address = (BigInt(high) << 32n) + BigInt(low);
          queues[step.at % 3]!.setDescriptor(Math.floor(step.at / 3), { address, length, flags, next });
        } else if (step.do === "offer") {
          queues[step.queue]!.offer(step.head);
          queues[step.queue]!.publish();
          write(REG.QUEUE_NOTIFY, step.queue);
        } else if (step.do === "jump") {
          queues[step.queue]!.publish(step.idx);
          write(REG.QUEUE_NOTIFY, step.queue);
        } else if (step.do === "poll") {
          for (let i = 0; i < step.frames; i++) port.arrivals.push({ bytes: frameOf(step.length) });
          expect(card.poll(0, 16)).toBeLessThanOrEqual(48);
        } else if (step.do === "poke") {
          bytes[LEAD + step.at] = step.value;
        } else if (step.do === "register") {
          write(step.offset, step.value);
          mmio.read(step.offset, 4, 0);
        } else {
          start();
        }
      }
      for (let at = 0; at < LEAD; at++) {
        if (bytes[at] !== CANARY || bytes[LEAD + RAM_BYTES + at] !== CANARY) throw new Error(`wrote outside at ${at}`);
      }
      // After all that, a proper driver finds a proper card.
      port.arrivals.length = 0;
      start();
      expect(mmio.read(REG.STATUS, 4, 0)).toBe(RUNNING);
      queues[0]!.seenIdx = 0;
      queues[0]!.offerChain(0, [{ address: 0x400, length: 100, flags: 2 }]);
      queues[0]!.publish();
      port.arrivals.push({ bytes: frameOf(60) });
      card.poll(0, 16);
      expect(queues[0]!.takeUsed()).toEqual([{ head: 0, length: 72 }]);
    }),
    { numRuns: 500 },
  );
});
