import { describe, expect, it } from "vitest";
import { type Frame, type FramePort, GuestMemory, MmioTransport, NetCard } from "../../src/device/index.ts";

/** How long to fuzz, and from which seed: FUZZ_SECONDS, FUZZ_SEED; a failure prints the seed of its round. */
const FUZZ_SECONDS = Number(process.env["FUZZ_SECONDS"] ?? 60);
const FIRST_SEED = Number(process.env["FUZZ_SEED"] ?? Date.now() >>> 0);

const RAM_BYTES = 1 << 16;
const GUARD_BYTES = 4096;
const STEPS = 400;
/** Offsets that a driver may write, retyped from virtio 1.4 §4.2.2. */
const REGISTERS = [0x14, 0x20, 0x24, 0x30, 0x38, 0x44, 0x50, 0x64, 0x70, 0x80, 0x84, 0x90, 0x94, 0xa0, 0xa4, 0xac];

/** mulberry32: small, seeded, good enough to hit corners. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Endless frames; what is sent must be readable. */
class FloodPort implements FramePort {
  readonly maxFrameBytes = 65553;
  readonly takesChecksum = false;
  readonly takesSegmentation = false;
  readonly #bytes = new Uint8Array(65553).fill(0xa5);
  readonly #random: (below: number) => number;

  constructor(random: (below: number) => number) {
    this.#random = random;
  }
  receive(frame: Frame): boolean {
    frame.bytes = this.#bytes;
    frame.offset = 0;
    frame.lengthBytes = [60, 1514, 9000, 65549][this.#random(4)]!;
    return this.#random(4) !== 0;
  }
  nextArrivalNs(): number {
    return 0;
  }
  transmit(frame: Frame): boolean {
    if (frame.offset < 0 || frame.lengthBytes < 0 || frame.offset + frame.lengthBytes > frame.bytes.length)
      throw new Error("frame outside its bytes");
    return this.#random(2) === 0;
  }
}

function fuzzRound(seed: number): void {
  const random = randomOf(seed);
  const bytes = new Uint8Array(RAM_BYTES + 2 * GUARD_BYTES).fill(0xee);
  const ram = bytes.subarray(GUARD_BYTES, GUARD_BYTES + RAM_BYTES);
  ram.fill(0);
  const memory = new GuestMemory(bytes.buffer, [{ guestAddress: 0, sizeBytes: RAM_BYTES, byteOffset: GUARD_BYTES }]);
  let nowNs = 0;
  const card = new NetCard({
    memory,
    port: new FloodPort(random),
    mac: [2, 0, 0, 0, 0, 1],
    interrupts: { notify() {}, wake() {} },
  });
  const mmio = new MmioTransport(card);
  const write = (offset: number, value: number): void => mmio.write(offset, 4, value >>> 0, nowNs);

  const bringUp = (): void => {
    write(0x70, 0);
    write(0x70, 3);
    for (const word of [0, 1]) {
      mmio.write(0x14, 4, word, nowNs);
      write(0x24, word);
      // All that is offered, now and then less.
      write(0x20, mmio.read(0x10, 4, nowNs) & (random(3) === 0 ? random(2 ** 32) | (word === 1 ? 1 : 0) : -1));
    }
    write(0x70, 11);
    for (const queue of [0, 1, 2]) {
      write(0x30, queue);
      write(0x38, [1, 2, 8, 64][random(4)]!);
      write(0x80, 0x1000 + queue * 0x2000);
      write(0x90, 0x1800 + queue * 0x2000);
      write(0xa0, 0x1c00 + queue * 0x2000);
      write(0x44, 1);
    }
    write(0x70, 15);
  };
  const scribble = (): void => {
    const view = new DataView(bytes.buffer, GUARD_BYTES, RAM_BYTES);
    const area = 0x1000 + random(3) * 0x2000;
    for (let i = 0; i < 24; i++) {
      // Descriptors with small addresses and lengths, so that many are valid; and anything at all.
      const at = area + random(0x1000);
      if (random(3) === 0) view.setUint32(at & ~3, random(2 ** 32), true);
      else view.setUint16(at & ~1, random(8) === 0 ? random(65536) : random(64), true);
    }
    view.setUint16(area + 0x802, view.getUint16(area + 0x802, true) + random(4), true);
  };

  bringUp();
  for (let step = 0; step < STEPS; step++) {
    nowNs += random(100_000);
    switch (random(8)) {
      case 0:
        write(REGISTERS[random(REGISTERS.length)]!, random(3) === 0 ? random(2 ** 32) : random(32));
        break;
      case 1:
        write(0x50, random(5));
        break;
      case 2:
        mmio.read(random(0x220), ([1, 2, 4] as const)[random(3)]!, nowNs);
        break;
      case 3:
        if (random(12) === 0) bringUp();
        break;
      case 4:
      case 5:
        scribble();
        break;
      default:
        card.poll(nowNs, 16);
    }
  }
  // Nothing outside of the guest's memory was touched, and a reset brings the device back.
  for (let i = 0; i < GUARD_BYTES; i++) {
    if (bytes[i] !== 0xee || bytes[GUARD_BYTES + RAM_BYTES + i] !== 0xee)
      throw new Error("a byte outside guest memory was written");
  }
  write(0x70, 0);
  expect(mmio.read(0x70, 4, nowNs)).toBe(0);
  expect(card.interruptStatus.value).toBe(0);
}

describe("a guest that writes anything anywhere at any time", () => {
  it(`never makes the card throw, loop, or touch memory outside its own (${FUZZ_SECONDS} s)`, () => {
    const endMs = Date.now() + FUZZ_SECONDS * 1000;
    let seed = FIRST_SEED;
    let rounds = 0;
    for (; Date.now() < endMs; seed++, rounds++) {
      try {
        fuzzRound(seed);
      } catch (error) {
        throw new Error(`round with FUZZ_SEED=${seed}`, { cause: error });
      }
    }
    console.log(`${rounds} rounds of ${STEPS} steps from seed ${FIRST_SEED}`);
    expect(rounds).toBeGreaterThan(10);
  });
});
