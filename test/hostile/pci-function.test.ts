import { describe, expect, test } from "vitest";
import { frameOf, PLAIN_FEATURES } from "../rings/card-machine.ts";
import { COMMON, PciMachine, RUNNING } from "../rings/pci-machine.ts";
import { SplitDriver } from "../rings/split-driver.ts";

const FEATURES = PLAIN_FEATURES.filter((name) => name !== "RING_EVENT_IDX");
const COMMAND = 4;
const MASTER = 4;

function setMaster(machine: PciMachine, on: boolean): void {
  const command = machine.config(COMMAND, 2);
  machine.setConfig(COMMAND, 2, on ? command | MASTER : command & ~MASTER);
}

function vectorsSent(machine: PciMachine): number[] {
  return machine.messages.splice(0).map(({ vector }) => vector);
}

/** Whether the card has changed memory while `work` was done. */
function writes(machine: PciMachine, work: () => void): boolean {
  const before = machine.ram.slice();
  work();
  return machine.ram.some((byte, at) => byte !== before[at]);
}

describe("bus mastering off (PCI 3.0 §6.2.2)", () => {
  test("nothing is read, written or sent; what was kicked for meanwhile is done once it is on again", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.bringUp(FEATURES);
    machine.loop(frameOf(60));
    vectorsSent(machine);
    setMaster(machine, false);
    // The driver's own writes are these: a receive buffer, and a frame to send.
    const prepared = machine.ram.slice();
    machine.loop(frameOf(61));
    const changed = [...machine.ram.keys()].filter((at) => machine.ram[at] !== prepared[at]);
    const [rx, tx] = machine.queues;
    const used = [rx!, tx!].map((ring) => [ring.used, ring.used + 6 + 8 * 8] as const);
    expect(changed.filter((at) => used.some(([from, to]) => at >= from && at < to))).toEqual([]);
    machine.card.setLinkUp(false, machine.nowNs);
    expect(vectorsSent(machine)).toEqual([]);
    machine.card.setLinkUp(true, machine.nowNs);
    setMaster(machine, true);
    machine.poll();
    expect(vectorsSent(machine).sort()).toEqual([0, 1, 3]);
    expect(rx!.takeUsed().map(({ length }) => length)).toEqual([72, 73]);
    expect(machine.faults).toEqual([]);
  });

  test("counts once the function is switched on: a driver that never touches the command register gets its traffic", () => {
    const machine = new PciMachine();
    machine.bringUp(FEATURES);
    machine.setConfig(COMMAND, 2, 0);
    machine.loop(frameOf(60));
    expect(machine.queues[0]!.takeUsed()).toHaveLength(1);
    machine.setConfig(COMMAND, 2, 2);
    machine.loop(frameOf(60));
    expect(machine.queues[0]!.takeUsed()).toEqual([]);
  });

  test("from inside an interrupt, the poll that sent it touches memory no more", () => {
    const machine = new PciMachine();
    machine.bringUp(FEATURES);
    let atEnd = machine.ram;
    const { port } = machine;
    const transmit = port.transmit.bind(port);
    port.transmit = (frame, nowNs) => {
      setMaster(machine, false);
      atEnd = machine.ram.slice();
      return transmit(frame, nowNs);
    };
    machine.loop(frameOf(60));
    expect(machine.ram).toEqual(atEnd);
    // What was used before is published: the chain was taken.
    expect(machine.queues[1]!.takeUsed()).toEqual([{ head: 0, length: 0 }]);
  });

  test("a driver that sets all up first, and the bit last, finds its queues alive", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.negotiate(FEATURES);
    setMaster(machine, false);
    for (const index of [0, 1, 2]) machine.setUpQueue(index, 0x1000 + 0x2000 * index, 8, index);
    expect(
      writes(machine, () => {
        machine.status = RUNNING;
        machine.poll();
      }),
    ).toBe(false);
    setMaster(machine, true);
    machine.loop(frameOf(60));
    expect(vectorsSent(machine)).toEqual([1, 0]);
  });

  test("a reset with the bit off leaves a card that works once it is on; a state saved meanwhile goes on too", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.bringUp(FEATURES);
    setMaster(machine, false);
    machine.status = 0;
    machine.bringUp(FEATURES);
    setMaster(machine, false);
    const other = new PciMachine();
    other.ram.set(machine.ram);
    for (const { table, size } of machine.queues) other.queues.push(new SplitDriver(other.ram.buffer, table, size));
    other.card.restoreState(machine.card.saveState(machine.nowNs), other.nowNs);
    other.pci.restoreState(machine.pci.saveState(), other.nowNs);
    for (const each of [machine, other]) {
      setMaster(each, true);
      each.loop(frameOf(60));
      expect(vectorsSent(each)).toEqual([1, 0]);
    }
  });

  test("SUSPEND and the bit in any order hold the card until both let it go", () => {
    const orders: ((machine: PciMachine) => void)[] = [
      (machine) => setMaster(machine, false),
      (machine) => {
        machine.status = machine.status | 16;
      },
    ];
    for (const [first, second] of [orders, orders.toReversed()]) {
      for (const masterFirst of [true, false]) {
        const machine = new PciMachine().bringUp(FEATURES);
        first!(machine);
        second!(machine);
        if (masterFirst) setMaster(machine, true);
        else machine.status = RUNNING;
        expect(writes(machine, () => machine.poll())).toBe(false);
        if (masterFirst) machine.status = RUNNING;
        else setMaster(machine, true);
        machine.loop(frameOf(60));
        expect(machine.queues[0]!.takeUsed()).toHaveLength(1);
      }
    }
  });
});

describe("INTx and MSI-X", () => {
  /** A card with a notification that waits for its latency interval. */
  function withWaiting(): PciMachine {
    const machine = new PciMachine().bringUp(FEATURES);
    for (const vector of machine.card.throttle.vectors) vector.latencyNs = 1000;
    machine.loop(frameOf(60));
    machine.isr();
    machine.loop(frameOf(60));
    expect(machine.line).toBe(false);
    return machine;
  }

  test("switched on with all vectors masked, MSI-X sends nothing before they are unmasked", () => {
    const machine = withWaiting();
    machine.nowNs += 1000;
    machine.setConfig(machine.msixAt + 2, 2, 0xc000);
    machine.poll();
    expect([vectorsSent(machine), machine.line]).toEqual([[], false]);
    const pba = machine.config(machine.msixAt + 8);
    expect(machine.read(pba & 7, pba & ~7, 4)).toBe(0b11);
    machine.enableMsix();
    expect(vectorsSent(machine).sort()).toEqual([0, 1]);
  });

  test("switched off with vectors masked, MSI-X leaves what is due to the line", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.setConfig(machine.msixAt + 2, 2, 0xc000);
    machine.bringUp(FEATURES);
    machine.loop(frameOf(60));
    machine.card.setLinkUp(false, machine.nowNs);
    machine.setConfig(machine.msixAt + 2, 2, 0);
    expect([vectorsSent(machine), machine.line, machine.isr(), machine.line]).toEqual([[], true, 3, false]);
  });

  test("switched off after its messages were sent, MSI-X raises no line that nobody would clear", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.bringUp(FEATURES);
    machine.loop(frameOf(60));
    machine.card.setLinkUp(false, machine.nowNs);
    expect(vectorsSent(machine)).toEqual([1, 0, 3]);
    machine.setConfig(machine.msixAt + 2, 2, 0);
    expect([machine.line, machine.isr()]).toEqual([false, 0]);
  });

  test("case 32: a configuration change that a mask holds back goes where its driver maps it, or nowhere (R10)", () => {
    for (const target of [1, 0xffff]) {
      const machine = new PciMachine();
      machine.enableMsix();
      machine.bringUp(FEATURES);
      machine.write(2, 16 * 3 + 12, 4, 1);
      machine.card.setLinkUp(false, machine.nowNs);
      machine.setCommon(COMMON.CONFIG_MSIX_VECTOR, 2, target);
      machine.write(2, 16 * 3 + 12, 4, 0);
      machine.poll();
      expect(vectorsSent(machine)).toEqual(target === 1 ? [1] : []);
    }
  });

  test("case 32: a queue's interrupt that a mask holds back goes where its driver maps it, or nowhere (R10)", () => {
    for (const target of [2, 0xffff]) {
      const machine = new PciMachine();
      machine.enableMsix();
      machine.bringUp(FEATURES);
      machine.write(2, 12, 4, 1);
      machine.loop(frameOf(60));
      expect(vectorsSent(machine)).toEqual([1]);
      machine.setCommon(COMMON.QUEUE_SELECT, 2, 0);
      machine.setCommon(COMMON.QUEUE_MSIX_VECTOR, 2, target);
      machine.write(2, 12, 4, 0);
      machine.poll();
      expect(vectorsSent(machine)).toEqual(target === 2 ? [2] : []);
    }
  });

  test("case 32: a reset while a mask holds an interrupt back leaves none, and no pending bit (R10)", () => {
    const machine = new PciMachine();
    machine.enableMsix();
    machine.bringUp(FEATURES);
    machine.setConfig(machine.msixAt + 2, 2, 0xc000);
    machine.loop(frameOf(60));
    machine.card.setLinkUp(false, machine.nowNs);
    machine.status = 0;
    const pba = machine.config(machine.msixAt + 8);
    expect(machine.read(pba & 7, pba & ~7, 4)).toBe(0);
    machine.setConfig(machine.msixAt + 2, 2, 0x8000);
    machine.nowNs += 1e9;
    machine.poll();
    expect([vectorsSent(machine), machine.isr()]).toEqual([[], 0]);
  });
});
