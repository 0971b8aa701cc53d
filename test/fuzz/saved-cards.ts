/** Cards in the middle of their work, as saved states, and machines of the same kind to restore them into. */

import { expect } from "vitest";
import { type CardState, Frame, type MmioTransportState, type PciTransportState } from "../../src/device/index.ts";
import { worksAfterReset } from "../hostile/survival.ts";
import {
  CardMachine,
  CTRL,
  type Feature,
  frameOf,
  PLAIN_FEATURES,
  REG,
  RUNNING,
  RX,
  SUSPEND,
  TX,
} from "../rings/card-machine.ts";
import { CONTROLQ, ControlMachine, macTables, PAIRS, rssConfig, u16, u32 } from "../rings/control-machine.ts";
import { PackedDriver } from "../rings/packed-driver.ts";
import { PciMachine } from "../rings/pci-machine.ts";
import { SplitDriver, WRITE } from "../rings/split-driver.ts";

export interface Saved {
  card: CardState;
  transport: MmioTransportState | PciTransportState;
}

/** A machine with a state of its own, and how another of its kind is made, used, and used again after a reset. */
export interface SavedKind {
  readonly saved: Saved;
  make(): { restore(saved: Saved): void; use(): void; useAfterReset(): void; machine: CardMachine | PciMachine };
}

function onMmio<Machine extends CardMachine>(
  original: CardMachine,
  remake: () => Machine,
  useAfterReset: (machine: Machine) => void = worksAfterReset,
): SavedKind {
  const saved = { card: original.card.saveState(original.nowNs), transport: original.mmio.saveState() };
  const make = () => {
    const machine = remake();
    return {
      machine,
      restore: ({ card, transport }: Saved) => {
        machine.ram.set(original.ram);
        machine.card.restoreState(card, machine.nowNs);
        machine.mmio.restoreState(transport as MmioTransportState);
      },
      use: () => {
        for (const queue of [RX, TX, CTRL, CONTROLQ]) machine.kick(queue);
        for (let at = 0; at < 0x120; at += 4) machine.read(at);
        machine.port.arrivals.push({ bytes: frameOf(60) }, { bytes: frameOf(1514) });
        machine.poll();
      },
      useAfterReset: () => useAfterReset(machine),
    };
  };
  return { saved, make };
}

/** Frames in the rings, a notification held back, a wake under way. */
function busy(features: readonly Feature[] = PLAIN_FEATURES): CardMachine {
  const machine = new CardMachine().bringUp(features);
  const vector = machine.card.throttle.vectors[0]!;
  vector.latencyNs = 50_000;
  vector.urgent.program(3, 100, machine.nowNs);
  machine.offerReceiveBuffers([2048, 2048, 2048, 2048]);
  machine.receive(frameOf(60));
  machine.send(frameOf(60));
  machine.card.throttle.setGuestState(0, 0, 2, machine.nowNs);
  machine.receive(frameOf(60));
  return machine;
}

function suspended(): CardMachine {
  const machine = busy();
  machine.write(REG.STATUS, RUNNING | SUSPEND);
  machine.card.setLinkUp(false, machine.nowNs);
  return machine;
}

function packed(): CardMachine {
  const machine = new CardMachine();
  machine.negotiate([...PLAIN_FEATURES, "RING_PACKED"]);
  for (const queue of [RX, TX, CTRL]) {
    const ring = new PackedDriver(machine.ram.buffer, 0x1000 + 0x3000 * queue, 5);
    machine.setUpQueue(queue, ring.ring, 8);
    machine.write(REG.QUEUE_READY, 0);
    machine.ram.fill(0, ring.ring, ring.end);
    machine.write(REG.QUEUE_SIZE, 5);
    machine.write(REG.QUEUE_DRIVER_LOW, ring.driverArea);
    machine.write(REG.QUEUE_DEVICE_LOW, ring.deviceArea);
    machine.write(REG.QUEUE_READY, 1);
    if (queue === RX) for (let id = 0; id < 3; id++) ring.offer(id, [{ address: 0x10000, length: 2048, flags: WRITE }]);
  }
  machine.write(REG.STATUS, RUNNING);
  machine.receive(frameOf(60));
  expect(machine.card.statistics.queues[RX]!.frames).toBe(1);
  machine.queues.length = 0;
  return machine;
}

function commanded(): ControlMachine {
  const machine = new ControlMachine();
  const address = [2, 9, 9, 9, 9, 9];
  machine.command([1, 0, ...macTables([address], [])]);
  machine.command([2, 0, ...u16(7)]);
  machine.command([4, 0, ...u16(PAIRS)]);
  machine.send(frameOf(60));
  machine.command([4, 1, ...rssConfig(0x1ff, [0, 1, 2, 1], 0, PAIRS, [1, 2, 3, 4])]);
  machine.command([6, 1, ...u32(8), ...u32(50)]);
  machine.card.announce(machine.nowNs);
  return machine;
}

function onPci(): SavedKind {
  const original = new PciMachine();
  original.setConfig(0x10, 4, 0xfebf_0000);
  original.enableMsix();
  original.bringUp();
  original.loop(frameOf(60));
  original.write(2, 16 * 3 + 12, 4, 1);
  original.card.setLinkUp(false, original.nowNs);
  const saved = { card: original.card.saveState(original.nowNs), transport: original.pci.saveState() };
  const make = () => {
    const machine = new PciMachine();
    return {
      machine,
      restore: ({ card, transport }: Saved) => {
        machine.ram.set(original.ram);
        for (const { table, size } of original.queues)
          machine.queues.push(new SplitDriver(machine.ram.buffer, table, size));
        machine.card.restoreState(card, machine.nowNs);
        machine.pci.restoreState(transport as PciTransportState, machine.nowNs);
      },
      use: () => {
        for (let at = 0; at < 0x60; at++) for (const width of [1, 2, 4] as const) machine.read(0, at, width);
        for (let at = 0; at < 256; at += 4) machine.config(at);
        machine.loop(frameOf(60));
        machine.pci.writeConfig(4, 2, 7, machine.nowNs);
        machine.loop(frameOf(61));
      },
      useAfterReset: () => {
        machine.pci.resetFunction(machine.nowNs);
        machine.messages.length = 0;
        machine.enableMsix();
        machine.bringUp(PLAIN_FEATURES.filter((name) => name !== "RING_EVENT_IDX"));
        const frame = new Frame(machine.ram);
        while (machine.port.receive(frame, 0));
        machine.loop(frameOf(60));
        expect(machine.messages.map(({ vector }) => vector)).toEqual([1, 0]);
      },
    };
  };
  return { saved, make };
}

export const SAVED_KINDS: readonly SavedKind[] = [
  onMmio(busy(), () => new CardMachine()),
  onMmio(suspended(), () => new CardMachine()),
  onMmio(packed(), () => new CardMachine()),
  onMmio(
    commanded(),
    () => new ControlMachine(),
    (machine) => {
      machine.port.arrivals.length = 0;
      machine.start();
      expect(machine.arrive(frameOf(60))).toEqual([0]);
    },
  ),
  onPci(),
];
