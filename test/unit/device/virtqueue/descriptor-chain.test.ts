import { beforeEach, describe, expect, test } from "vitest";
import { FAULTS } from "../../../../src/device/faults.ts";
import { GuestMemory } from "../../../../src/device/memory/guest-memory.ts";
import { DescriptorChain } from "../../../../src/device/virtqueue/descriptor-chain.ts";
import { type Descriptor, INDIRECT, NEXT, SplitDriver, WRITE } from "../../../rings/split-driver.ts";

const SIZE = 4;
const RAM_BYTES = 0x4000;
/** Where an indirect table lies in these tests. */
const INDIRECT_AT = 0x1000;

let driver: SplitDriver;
let memory: GuestMemory;
let chain: DescriptorChain;

beforeEach(() => {
  const buffer = new ArrayBuffer(RAM_BYTES);
  memory = new GuestMemory(buffer);
  driver = new SplitDriver(buffer, 0, SIZE);
  chain = new DescriptorChain(SIZE);
});

/** Name of the fault that reading the chain at `head` gives. */
function read(head = 0, indirectAllowed = true): string {
  return FAULTS[chain.read(memory, driver.table, SIZE, head, indirectAllowed)]!.name;
}

function segments(): [number, number][] {
  return Array.from({ length: chain.count }, (_, i) => [chain.offsets[i]!, chain.lengths[i]!]);
}

function writeIndirect(descriptors: readonly Descriptor[], at = INDIRECT_AT): void {
  for (const [i, descriptor] of descriptors.entries()) driver.writeDescriptor(at + 16 * i, descriptor);
}

describe("direct chains", () => {
  test("a single readable descriptor is one readable segment", () => {
    driver.setDescriptor(2, { address: 0x2000, length: 100 });
    expect(read(2)).toBe("none");
    expect(chain.head).toBe(2);
    expect(segments()).toEqual([[0x2000, 100]]);
    expect([chain.readableCount, chain.readableBytes, chain.writableBytes]).toEqual([1, 100, 0]);
  });

  test("readable descriptors come before writable ones (§2.7.4.2)", () => {
    driver.setDescriptor(0, { address: 0x2000, length: 10, flags: NEXT, next: 3 });
    driver.setDescriptor(3, { address: 0x2100, length: 20, flags: NEXT | WRITE, next: 1 });
    driver.setDescriptor(1, { address: 0x2200, length: 30, flags: WRITE });
    expect(read()).toBe("none");
    expect(segments()).toEqual([
      [0x2000, 10],
      [0x2100, 20],
      [0x2200, 30],
    ]);
    expect([chain.readableCount, chain.readableBytes, chain.writableBytes]).toEqual([1, 10, 50]);
  });

  test("a readable descriptor after a writable one is a fault (§2.7.4.2)", () => {
    driver.setDescriptor(0, { address: 0x2000, length: 10, flags: NEXT | WRITE, next: 1 });
    driver.setDescriptor(1, { address: 0x2100, length: 10 });
    expect(read()).toBe("readable-after-writable");
  });

  test("a chain of exactly the queue size is legal", () => {
    for (let i = 0; i < SIZE; i++) {
      driver.setDescriptor(i, { address: 0x2000 + i, length: 1, flags: i < SIZE - 1 ? NEXT : 0, next: i + 1 });
    }
    expect(read()).toBe("none");
    expect(chain.count).toBe(SIZE);
  });

  test("a loop ends after as many descriptors as the queue has (§2.7.5.2)", () => {
    for (let i = 0; i < SIZE; i++)
      driver.setDescriptor(i, { address: 0x2000, length: 1, flags: NEXT, next: (i + 1) % SIZE });
    expect(read()).toBe("chain-too-long");
    expect(chain.descriptors).toBe(SIZE);
    driver.setDescriptor(0, { address: 0x2000, length: 1, flags: NEXT, next: 0 });
    expect(read()).toBe("chain-too-long");
  });

  test("next outside the table is a fault", () => {
    driver.setDescriptor(0, { address: 0x2000, length: 1, flags: NEXT, next: SIZE });
    expect(read()).toBe("next-out-of-range");
  });

  test("next is not looked at without NEXT", () => {
    driver.setDescriptor(0, { address: 0x2000, length: 1, next: 0xffff });
    expect(read()).toBe("none");
  });

  test("empty descriptors count towards the length, hold nothing, and need no address", () => {
    driver.setDescriptor(0, { address: 2n ** 60n, length: 0, flags: NEXT, next: 1 });
    driver.setDescriptor(1, { address: 0x2000, length: 5, flags: NEXT, next: 2 });
    driver.setDescriptor(2, { address: 0, length: 0 });
    expect(read()).toBe("none");
    expect(segments()).toEqual([[0x2000, 5]]);
    expect(chain.descriptors).toBe(3);
  });

  test("a chain of nothing is valid and empty", () => {
    driver.setDescriptor(0, { address: 0, length: 0 });
    expect(read()).toBe("none");
    expect([chain.count, chain.readableBytes, chain.writableBytes]).toEqual([0, 0, 0]);
  });

  test.each([
    ["beyond the end", RAM_BYTES, 1],
    ["over the end", RAM_BYTES - 1, 2],
    ["at the top of 32 bits", 0xffffffff, 2],
    ["above 4 GiB", 2n ** 32n, 1],
    ["at the top of 64 bits", 2n ** 64n - 1n, 1],
    ["with a length of 2^31", 0, 2 ** 31],
    ["with the longest length", 0, 0xffffffff],
  ])("a buffer %s is a fault", (_, address, length) => {
    driver.setDescriptor(0, { address, length });
    expect(read()).toBe("address");
    driver.setDescriptor(1, { address: 0x2000, length: 1, flags: NEXT, next: 0 });
    expect(read(1)).toBe("address");
  });

  test("a buffer that ends with the last byte of memory is legal", () => {
    driver.setDescriptor(0, { address: RAM_BYTES - 1, length: 1 });
    expect(read()).toBe("none");
  });

  test("more than 2^32 bytes in one chain are a fault (§2.7.5.2)", () => {
    const large = new GuestMemory(new ArrayBuffer(RAM_BYTES));
    // A memory of 4 GiB - 8 need not exist to be addressed.
    large.translate = (address) => address;
    const view = new SplitDriver(large.u8.buffer, 0, SIZE);
    view.setDescriptor(0, { address: 0, length: 0xffffffff, flags: NEXT, next: 1 });
    view.setDescriptor(1, { address: 0, length: 1 });
    expect(FAULTS[chain.read(large, 0, SIZE, 0, true)]!.name).toBe("none");
    view.setDescriptor(1, { address: 0, length: 2 });
    expect(FAULTS[chain.read(large, 0, SIZE, 0, true)]!.name).toBe("chain-bytes");
  });
});

describe("indirect tables", () => {
  test("replace the descriptor that points at them", () => {
    driver.setDescriptor(1, { address: INDIRECT_AT, length: 32, flags: INDIRECT });
    writeIndirect([
      { address: 0x2000, length: 12, flags: NEXT, next: 1 },
      { address: 0x2100, length: 34, flags: WRITE },
    ]);
    expect(read(1)).toBe("none");
    expect(chain.head).toBe(1);
    expect(segments()).toEqual([
      [0x2000, 12],
      [0x2100, 34],
    ]);
    expect(chain.readableCount).toBe(1);
  });

  test("the WRITE flag of the descriptor that points at the table says nothing (SIND-1)", () => {
    driver.setDescriptor(0, { address: INDIRECT_AT, length: 16, flags: INDIRECT | WRITE });
    writeIndirect([{ address: 0x2000, length: 12 }]);
    expect(read()).toBe("none");
    expect(chain.readableCount).toBe(1);
  });

  test("may follow direct descriptors (SIND-2)", () => {
    driver.setDescriptor(0, { address: 0x2000, length: 1, flags: NEXT, next: 1 });
    driver.setDescriptor(1, { address: 0x2100, length: 2, flags: NEXT, next: 2 });
    driver.setDescriptor(2, { address: INDIRECT_AT, length: 32, flags: INDIRECT });
    writeIndirect([
      { address: 0x2200, length: 3, flags: NEXT, next: 1 },
      { address: 0x2300, length: 4, flags: WRITE },
    ]);
    expect(read()).toBe("none");
    expect(segments().map(([, length]) => length)).toEqual([1, 2, 3, 4]);
  });

  test("hold as many descriptors as the queue has, and not one more (§2.7.5.3.1)", () => {
    const full = Array.from({ length: SIZE + 1 }, (_, i) => ({ address: 0x2000, length: 1, flags: NEXT, next: i + 1 }));
    writeIndirect(full);
    driver.setDescriptor(0, { address: INDIRECT_AT, length: 16 * (SIZE + 1), flags: INDIRECT });
    expect(read()).toBe("chain-too-long");
    writeIndirect([{ address: 0x2000, length: 1 }], INDIRECT_AT + 16 * (SIZE - 1));
    expect(read()).toBe("none");
    expect(chain.count).toBe(SIZE);
  });

  test("lie at any byte address", () => {
    for (const at of [INDIRECT_AT + 1, INDIRECT_AT + 2, INDIRECT_AT + 3]) {
      driver.setDescriptor(0, { address: at, length: 16, flags: INDIRECT });
      writeIndirect([{ address: 0x2345, length: 77 }], at);
      expect(read()).toBe("none");
      expect(segments()).toEqual([[0x2345, 77]]);
    }
  });

  test("are a fault without RING_INDIRECT_DESC (§2.7.5.3.1)", () => {
    driver.setDescriptor(0, { address: INDIRECT_AT, length: 16, flags: INDIRECT });
    writeIndirect([{ address: 0x2000, length: 1 }]);
    expect(read(0, false)).toBe("indirect-not-negotiated");
  });

  test("inside a table are a fault, the table itself included (§2.7.5.3.1)", () => {
    driver.setDescriptor(0, { address: INDIRECT_AT, length: 16, flags: INDIRECT });
    writeIndirect([{ address: INDIRECT_AT, length: 16, flags: INDIRECT }]);
    expect(read()).toBe("indirect-nested");
  });

  test("together with NEXT are a fault (§2.7.5.3.1)", () => {
    driver.setDescriptor(0, { address: INDIRECT_AT, length: 16, flags: INDIRECT | NEXT, next: 1 });
    expect(read()).toBe("indirect-with-next");
  });

  test.each([0, 1, 15, 17, 0xffffffff])("of %i bytes are a fault", (length) => {
    driver.setDescriptor(0, { address: INDIRECT_AT, length, flags: INDIRECT });
    expect(read()).toBe("indirect-length");
  });

  test("outside memory are a fault, in part or whole", () => {
    driver.setDescriptor(0, { address: RAM_BYTES - 16, length: 32, flags: INDIRECT });
    expect(read()).toBe("address");
    driver.setDescriptor(0, { address: INDIRECT_AT, length: 0xfffffff0, flags: INDIRECT });
    expect(read()).toBe("address");
  });

  test("next is bounded by the table, not by the queue", () => {
    driver.setDescriptor(0, { address: INDIRECT_AT, length: 32, flags: INDIRECT });
    writeIndirect([{ address: 0x2000, length: 1, flags: NEXT, next: 2 }]);
    expect(read()).toBe("next-out-of-range");
  });
});

test("what the driver changes after the chain was read changes nothing", () => {
  driver.setDescriptor(0, { address: 0x2000, length: 100, flags: WRITE });
  expect(read()).toBe("none");
  driver.setDescriptor(0, { address: 0, length: 5 });
  expect(segments()).toEqual([[0x2000, 100]]);
  expect(chain.writableBytes).toBe(100);
});

test("an empty chain keeps nothing of the chain before it", () => {
  driver.setDescriptor(0, { address: 0x2000, length: 100, flags: WRITE });
  driver.setDescriptor(1, { address: 0x2000, length: 0, flags: WRITE });
  read(0);
  expect(read(1)).toBe("none");
  expect([chain.count, chain.lengths[0], chain.writableBytes]).toEqual([0, 0, 0]);
});
