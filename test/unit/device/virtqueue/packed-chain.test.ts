import { beforeEach, describe, expect, test } from "vitest";
import { FAULTS } from "../../../../src/device/faults.ts";
import { GuestMemory } from "../../../../src/device/memory/guest-memory.ts";
import { DescriptorChain } from "../../../../src/device/virtqueue/descriptor-chain.ts";
import { AVAIL, INDIRECT, NEXT, PackedDriver, type PackedElement, USED, WRITE } from "../../../rings/packed-driver.ts";

const SIZE = 4;
const RAM_BYTES = 0x4000;
const RING = 0x100;
/** Where an indirect table lies in these tests. */
const TABLE = 0x1000;

let driver: PackedDriver;
let memory: GuestMemory;
let chain: DescriptorChain;

beforeEach(() => {
  const buffer = new ArrayBuffer(RAM_BYTES);
  memory = new GuestMemory(buffer);
  driver = new PackedDriver(buffer, RING, SIZE);
  chain = new DescriptorChain(SIZE);
});

/** Name of the fault that reading the chain at `slot` gives, at the turn of wrap counter 1. */
function read(slot = 0, { indirect = true, spanMax = SIZE } = {}): string {
  return FAULTS[chain.readPacked(memory, RING, SIZE, slot, driver.flagsOf(slot), spanMax, indirect)]!.name;
}

function segments(): [number, number][] {
  return Array.from({ length: chain.count }, (_, i) => [chain.offsets[i]!, chain.lengths[i]!]);
}

function writeTable(elements: readonly PackedElement[], at = TABLE): void {
  for (const [i, element] of elements.entries()) driver.writeDescriptor(at + 16 * i, element, 0xbeef);
}

describe("direct chains", () => {
  test("a single descriptor is one segment", () => {
    driver.offer(17, [{ address: 0x2000, length: 100 }]);
    expect(read()).toBe("none");
    expect([chain.head, chain.span, chain.descriptors, chain.readableCount]).toEqual([17, 1, 1, 1]);
    expect(segments()).toEqual([[0x2000, 100]]);
  });

  test("go on in ring order, and over the ring's end with both flags changed (§2.8.1, §2.8.6)", () => {
    driver.nextAvail = 2;
    driver.offer(3, [
      { address: 0x2000, length: 10 },
      { address: 0x2100, length: 20, flags: WRITE },
      { address: 0x2200, length: 30, flags: WRITE },
    ]);
    expect(driver.flagsOf(0)).toBe(WRITE | USED);
    expect(read(2)).toBe("none");
    expect([chain.head, chain.span, chain.readableBytes, chain.writableBytes]).toEqual([3, 3, 10, 50]);
    driver.setFlags(0, WRITE | AVAIL);
    expect(read(2)).toBe("chain-unended");
  });

  test("end where the driver's slots end", () => {
    driver.offer(3, [
      { address: 0x2000, length: 10 },
      { address: 0x2100, length: 20 },
    ]);
    expect(read(0, { spanMax: 2 })).toBe("none");
    expect(read(0, { spanMax: 1 })).toBe("chain-unended");
  });

  test.each([
    ["beyond the end", RAM_BYTES, 1],
    ["over the end", RAM_BYTES - 1, 2],
    ["at the top of 32 bits", 0xffffffff, 2],
    ["above 4 GiB", 2n ** 32n, 1],
    ["at the top of 64 bits", 2n ** 64n - 1n, 1],
    ["with a length of 2^31", 0, 2 ** 31],
    ["with the longest length", 0, 0xffffffff],
  ])("a buffer %s is a fault, alone, first or last", (_, address, length) => {
    driver.offer(1, [{ address, length }]);
    expect(read()).toBe("address");
    driver.offer(2, [
      { address, length },
      { address: 0x2000, length: 1 },
    ]);
    expect([read(1), chain.head, chain.span]).toEqual(["address", 2, 2]);
    driver = new PackedDriver(memory.u8.buffer, RING, SIZE);
    driver.offer(3, [
      { address: 0x2000, length: 1 },
      { address, length },
    ]);
    expect([read(), chain.head, chain.span]).toEqual(["address", 3, 2]);
  });

  test("more than 2^32 bytes in one chain are a fault", () => {
    // A memory of 4 GiB need not exist to be addressed.
    memory.translate = (address) => address;
    driver.offer(1, [
      { address: 0, length: 0xffffffff },
      { address: 0, length: 1 },
    ]);
    driver.offer(2, [
      { address: 0, length: 0xffffffff },
      { address: 0, length: 2 },
    ]);
    expect(read(0)).toBe("none");
    expect(read(2)).toBe("chain-bytes");
  });
});

describe("indirect tables (§2.8.7)", () => {
  test("are the chain: all their entries, in order, whatever NEXT says", () => {
    driver.offer(9, [{ address: TABLE, length: 48, flags: INDIRECT }]);
    writeTable([
      { address: 0x2000, length: 12, flags: NEXT },
      { address: 0x2100, length: 34 },
      { address: 0x2200, length: 56, flags: WRITE | NEXT },
    ]);
    expect(read()).toBe("none");
    expect([chain.head, chain.span, chain.descriptors, chain.readableCount]).toEqual([9, 1, 3, 2]);
    expect(segments()).toEqual([
      [0x2000, 12],
      [0x2100, 34],
      [0x2200, 56],
    ]);
  });

  test("of their entries' flags only WRITE counts, and their ids say nothing", () => {
    driver.offer(9, [{ address: TABLE, length: 32, flags: INDIRECT }]);
    writeTable([
      { address: 0x2000, length: 12, flags: INDIRECT | AVAIL | USED | 0x7f78 },
      { address: 0x2100, length: 34, flags: 0xffff },
    ]);
    expect(read()).toBe("none");
    expect([chain.head, chain.count, chain.readableCount]).toEqual([9, 2, 1]);
  });

  test("the WRITE flag of the descriptor that refers to them says nothing", () => {
    driver.offer(9, [{ address: TABLE, length: 16, flags: INDIRECT | WRITE }]);
    writeTable([{ address: 0x2000, length: 12 }]);
    expect(read()).toBe("none");
    expect(chain.readableCount).toBe(1);
  });

  test("lie at any byte address", () => {
    for (const at of [TABLE + 1, TABLE + 2, TABLE + 3]) {
      driver = new PackedDriver(memory.u8.buffer, RING, SIZE);
      driver.offer(9, [{ address: at, length: 16, flags: INDIRECT }]);
      writeTable([{ address: 0x2345, length: 77, flags: WRITE }], at);
      expect(read()).toBe("none");
      expect([segments(), chain.readableCount]).toEqual([[[0x2345, 77]], 0]);
    }
  });

  test("hold as many entries as the queue has slots, and not one more (§2.8.5)", () => {
    writeTable(Array.from({ length: SIZE + 1 }, () => ({ address: 0x2000, length: 1 })));
    driver.offer(1, [{ address: TABLE, length: 16 * SIZE, flags: INDIRECT }]);
    driver.offer(2, [{ address: TABLE, length: 16 * (SIZE + 1), flags: INDIRECT }]);
    expect(read(0)).toBe("none");
    expect(chain.count).toBe(SIZE);
    expect([read(1), chain.head, chain.span]).toEqual(["chain-too-long", 2, 1]);
  });

  test("are a fault without RING_INDIRECT_DESC (§2.8.19)", () => {
    driver.offer(1, [{ address: TABLE, length: 16, flags: INDIRECT }]);
    writeTable([{ address: 0x2000, length: 1 }]);
    expect(read(0, { indirect: false })).toBe("indirect-not-negotiated");
    expect(read(0)).toBe("none");
  });

  test("in a list with others are a fault, first or last, and the list is taken whole (§2.8.19)", () => {
    writeTable([{ address: 0x2000, length: 1 }]);
    const table = { address: TABLE, length: 16, flags: INDIRECT };
    driver.offer(1, [table, { address: 0x2000, length: 1 }]);
    driver.offer(2, [{ address: 0x2000, length: 1 }, table]);
    expect([read(0), chain.head, chain.span]).toEqual(["indirect-with-next", 1, 2]);
    expect([read(2), chain.head, chain.span]).toEqual(["indirect-with-next", 2, 2]);
  });

  test.each([0, 1, 15, 17, 0xffffffff])("of %i bytes are a fault", (length) => {
    driver.offer(1, [{ address: TABLE, length, flags: INDIRECT }]);
    expect(read()).toBe("indirect-length");
  });

  test("outside memory are a fault, in part or whole", () => {
    driver.offer(1, [{ address: RAM_BYTES - 16, length: 32, flags: INDIRECT }]);
    driver.offer(2, [{ address: TABLE, length: 0xfffffff0, flags: INDIRECT }]);
    expect([read(0), read(1)]).toEqual(["address", expect.stringMatching("address|chain-too-long")]);
  });

  test("with a faulty entry are faulty: outside memory, or readable after writable", () => {
    driver.offer(1, [{ address: TABLE, length: 32, flags: INDIRECT }]);
    writeTable([
      { address: 0x2000, length: 1, flags: WRITE },
      { address: RAM_BYTES, length: 1, flags: WRITE },
    ]);
    expect([read(), chain.head, chain.span]).toEqual(["address", 1, 1]);
    writeTable([
      { address: 0x2000, length: 1, flags: WRITE },
      { address: 0x2100, length: 1 },
    ]);
    expect([read(), chain.head, chain.span]).toEqual(["readable-after-writable", 1, 1]);
  });
});
