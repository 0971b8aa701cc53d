import { beforeEach, describe, expect, test } from "vitest";
import { CardMachine, FEATURE_BIT, type Feature, PLAIN_FEATURES, REG, RUNNING } from "../../../rings/card-machine.ts";
import { WRITE } from "../../../rings/split-driver.ts";

const FEATURES: readonly Feature[] = [...PLAIN_FEATURES, "MQ"];
const RX = [0, 2] as const;
const TX = [1, 3] as const;
const CTRL = 4;
const LATENCY = 0;
const WAKE = 3;
const CONFIG = 4;
const US = 1000;

/** A UDP packet of flow `flow`, from the guest or to it. */
function packet(flow: number, toGuest: boolean): Uint8Array {
  const bytes = new Uint8Array(60);
  const ends = [
    [10, 0, 0, 1, 0x10, flow],
    [10, 0, 0, 2, 0x20, flow],
  ];
  const [source, destination] = toGuest ? [ends[1]!, ends[0]!] : [ends[0]!, ends[1]!];
  bytes.set([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 46]);
  bytes.set([64, 17], 22);
  bytes.set([...source.slice(0, 4), ...destination.slice(0, 4), ...source.slice(4), ...destination.slice(4)], 26);
  bytes.set([0, 26], 38);
  return bytes;
}

class PairsMachine extends CardMachine {
  constructor(options: object = {}) {
    super({ pairs: 2, vectors: 5, vcpus: 2, ramBytes: 0x80000, offer: FEATURES, ...options });
    this.card.throttle.setGuestState(1, 1, 1, 0);
  }

  /** Two pairs, their control queue, a vector for each queue, and ten receive buffers in each ring. */
  start(): this {
    this.negotiate(FEATURES);
    for (const index of [...RX, ...TX, CTRL]) this.setUpQueue(index, 0x1000 * (index + 1), 16);
    this.card.useSharedVector(false, this.nowNs);
    for (const index of [...RX, ...TX, CTRL]) this.card.queues.setVector(index, index, this.nowNs);
    this.card.setConfigVector(CTRL, this.nowNs);
    this.write(REG.STATUS, RUNNING);
    for (const index of RX) {
      for (let i = 0; i < 10; i++) {
        this.queues[index]!.setDescriptor(i, { address: this.bufferOf(index, i), length: 2048, flags: WRITE });
        this.queues[index]!.offer(i);
      }
      this.queues[index]!.publish();
    }
    for (const [vector, target] of [0, 0, 1, 1, 0].entries()) this.card.throttle.vectors[vector]!.target = target;
    return this;
  }

  bufferOf(index: number, i: number): number {
    return 0x20000 + 0x8000 * index + 0x800 * i;
  }

  sendOn(pair: number, ...frames: Uint8Array[]): void {
    const queue = this.queues[TX[pair]!]!;
    for (const frame of frames) {
      const descriptor = queue.availIdx % 16;
      const address = this.bufferOf(TX[pair]!, descriptor);
      this.ram.fill(0, address, address + 12);
      this.ram.set(frame, address + 12);
      queue.setDescriptor(descriptor, { address, length: 12 + frame.length });
      queue.offer(descriptor);
    }
    queue.publish();
    this.kick(TX[pair]!);
    this.poll();
  }

  /** Carries out one control command; gives its ack. */
  command(...bytes: number[]): number {
    const at = 0x70000;
    this.ram.set(bytes, at);
    this.ram[at + 0x100] = 0xee;
    this.queues[CTRL]!.offerChain(0, [
      { address: at, length: bytes.length },
      { address: at + 0x100, length: 1, flags: WRITE },
    ]);
    this.queues[CTRL]!.publish();
    this.kick(CTRL);
    this.poll();
    return this.ram[at + 0x100]!;
  }

  arrive(...frames: Uint8Array[]): void {
    for (const bytes of frames) this.port.arrivals.push({ bytes });
    this.poll();
  }

  /** Frames that each receive queue has used since last asked. */
  received(): number[] {
    return RX.map((index) => this.queues[index]!.takeUsed().length);
  }

  /** Vectors and reasons of the notifications since last asked. The driver asks those queues for the next one. */
  interrupts(): number[][] {
    for (const { vector } of this.notified) this.queues[vector]!.usedEvent = this.queues[vector]!.usedIdx;
    return this.notified.splice(0).map(({ vector, why }) => [vector, why]);
  }
}

describe("queues are numbered as the driver has agreed (§5.1.2)", () => {
  test("with MQ the control queue follows all pairs, without it the first one", () => {
    const sizes = (machine: CardMachine) =>
      [0, 1, 2, 3, 4, 5].map((index) => {
        machine.write(REG.QUEUE_SEL, index);
        return machine.read(REG.QUEUE_SIZE_MAX) > 0;
      });
    const machine = new PairsMachine();
    machine.negotiate(FEATURES);
    expect(sizes(machine)).toEqual([true, true, true, true, true, false]);
    machine.negotiate(PLAIN_FEATURES);
    expect(sizes(machine)).toEqual([true, true, true, false, false, false]);
    machine.setUpQueue(2, 0x1000, 16);
    machine.write(REG.STATUS, RUNNING);
    machine.queues[CTRL] = machine.queues[2]!;
    machine.poll();
    // The kick of queue 4 reaches nobody.
    expect(machine.command(0x77, 0)).toBe(0xee);
    machine.kick(2);
    machine.poll();
    expect([machine.ram[0x70100], machine.card.statistics.queues[CTRL]!.kicks]).toEqual([1, 1]);
  });

  test("max_virtqueue_pairs says how many there are (NCFG-1)", () => {
    const machine = new PairsMachine();
    expect(machine.read(REG.CONFIG + 8, 2)).toBe(2);
    expect(machine.card.features.isOffered(FEATURE_BIT.MQ)).toBe(true);
  });

  test("pairs that no driver could use are refused", () => {
    expect(() => new CardMachine({ pairs: 2, offer: PLAIN_FEATURES })).toThrow(/pairs is 2, but neither MQ nor RSS/);
    expect(() => new CardMachine({ pairs: 0 })).toThrow(/pairs is 0; it must be an integer from 1 to 32768/);
    expect(() => new CardMachine({ offer: FEATURES })).toThrow(/MQ cannot be offered: pairs is 1/);
  });
});

describe("two pairs, a vCPU and a vector for each", () => {
  let machine: PairsMachine;
  beforeEach(() => {
    machine = new PairsMachine().start();
    expect(machine.command(4, 0, 2, 0)).toBe(0);
    machine.interrupts();
    machine.sendOn(0, packet(1, false));
    machine.sendOn(1, packet(2, false));
    machine.interrupts();
    machine.nowNs += 1_000_000;
  });

  test("until the driver enables them, one pair receives (NMQ-1)", () => {
    const fresh = new PairsMachine().start();
    fresh.sendOn(1, packet(2, false));
    fresh.arrive(packet(1, true), packet(2, true), packet(3, true));
    expect(fresh.received()).toEqual([3, 0]);
  });

  test("a flow comes in on the pair on which it goes out, and interrupts that pair's vCPU (NMQ-2, R14)", () => {
    machine.arrive(packet(2, true), packet(2, true));
    expect([machine.received(), machine.interrupts()]).toEqual([[0, 2], [[2, LATENCY]]]);
    machine.arrive(packet(1, true));
    expect([machine.received(), machine.interrupts()]).toEqual([[1, 0], [[0, LATENCY]]]);
  });

  test("each vector follows the state of its own vCPU: one latency interval, one overflow interval (R14)", () => {
    for (const vector of machine.card.throttle.vectors) {
      vector.latencyNs = 10 * US;
      vector.overflowNs = 500 * US;
    }
    machine.card.throttle.setGuestState(1, 0, 2, machine.nowNs);
    machine.arrive(packet(1, true), packet(2, true));
    expect([machine.interrupts(), machine.woken]).toEqual([[[0, LATENCY]], []]);
    machine.nowNs += 499 * US;
    machine.poll();
    expect(machine.woken).toEqual([]);
    machine.nowNs += US;
    machine.poll();
    expect(machine.woken.map(({ vcpu, why }) => [vcpu, why])).toEqual([[1, 0]]);
    machine.card.throttle.setGuestState(1, 1, 3, machine.nowNs);
    expect(machine.interrupts()).toEqual([[2, WAKE]]);
  });

  test("an active sibling may be interrupted in place of the target, and the frames stay where the driver wants them (R14)", () => {
    machine.card.throttle.retarget(machine.card.throttle.vectors[2]!, 1, 0b01, machine.nowNs);
    machine.card.throttle.setGuestState(1, 0, 2, machine.nowNs);
    machine.arrive(packet(2, true));
    expect([machine.received(), machine.interrupts(), machine.woken]).toEqual([[0, 1], [[2, LATENCY]], []]);
  });

  test("the driver's coalescing of one queue leaves the others alone (R12, VQ_SET)", () => {
    // VQ_SET of queue 2: 8 packets, 100 µs.
    expect(machine.command(6, 2, 2, 0, 0, 0, 8, 0, 0, 0, 100, 0, 0, 0)).toBe(0);
    machine.interrupts();
    machine.arrive(packet(1, true), packet(2, true));
    expect(machine.interrupts()).toEqual([[0, LATENCY]]);
    machine.nowNs += 100 * US;
    machine.poll();
    expect(machine.interrupts()).toEqual([[2, LATENCY]]);
    machine.arrive(...Array.from({ length: 8 }, () => packet(2, true)));
    expect(machine.interrupts()).toEqual([[2, LATENCY]]);
  });

  test("RX_SET reaches all receive queues, and on a shared vector the earliest decides (R12)", () => {
    expect(machine.command(6, 1, 9, 0, 0, 0, 100, 0, 0, 0)).toBe(0);
    expect(machine.command(6, 2, 2, 0, 0, 0, 9, 0, 0, 0, 20, 0, 0, 0)).toBe(0);
    machine.card.useSharedVector(true, machine.nowNs);
    machine.interrupts();
    machine.arrive(packet(1, true), packet(2, true));
    machine.nowNs += 20 * US - 1;
    machine.poll();
    expect(machine.interrupts()).toEqual([]);
    machine.nowNs += 1;
    machine.poll();
    expect(machine.interrupts()).toEqual([[0, LATENCY]]);
  });

  test("transmit completions interrupt once for a batch, and under the latency interval of their vector", () => {
    const vector = machine.card.throttle.vectors[3]!;
    vector.latencyNs = 50 * US;
    machine.sendOn(1, ...Array.from({ length: 8 }, () => packet(2, false)));
    expect([machine.port.sent.length, machine.interrupts()]).toEqual([10, [[3, LATENCY]]]);
    machine.nowNs += 10 * US;
    machine.sendOn(1, packet(2, false));
    expect(machine.interrupts()).toEqual([]);
    machine.nowNs += 40 * US;
    machine.poll();
    expect(machine.interrupts()).toEqual([[3, LATENCY]]);
  });

  test("configuration changes have a vector of their own, or none", () => {
    machine.card.setLinkUp(false, machine.nowNs);
    expect(machine.interrupts()).toEqual([[CTRL, CONFIG]]);
    machine.card.setConfigVector(-1, machine.nowNs);
    machine.card.setLinkUp(true, machine.nowNs);
    expect(machine.interrupts()).toEqual([]);
  });

  test("what waits for an interrupt goes to the vector that its queue is given meanwhile; the old one is silent (R10)", () => {
    for (const vector of machine.card.throttle.vectors) vector.latencyNs = 10 * US;
    machine.arrive(packet(2, true));
    machine.interrupts();
    machine.arrive(packet(2, true));
    machine.card.queues.setVector(2, 0, machine.nowNs);
    machine.nowNs += 10 * US;
    machine.poll();
    expect(machine.interrupts()).toEqual([[0, LATENCY]]);
    machine.card.queues.setVector(2, -1, machine.nowNs);
    machine.arrive(packet(2, true));
    machine.nowNs += 10 * US;
    machine.poll();
    expect(machine.interrupts()).toEqual([]);
  });

  test("a frame for a queue that is in reset is dropped and counted, and comes through again afterwards (NMQ-4)", () => {
    machine.card.queues.reset(2);
    machine.arrive(packet(1, true));
    const dropped = () => machine.card.statistics.queues[2]!.dropped;
    const before = dropped();
    machine.arrive(packet(2, true));
    expect(machine.received()[0]! + dropped() - before).toBe(2);
  });
});
