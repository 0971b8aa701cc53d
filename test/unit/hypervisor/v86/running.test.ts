import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { GUEST_ACTIVE, GUEST_PREEMPTED, GUEST_STATE } from "../../../../src/device/index.ts";
import type { VirtioNetOptions } from "../../../../src/hypervisor/v86/index.ts";
import { patterned } from "../../../conformance/harness/frames.ts";
import {
  CALL_CODE,
  CODE_AT,
  COUNTED_A,
  COUNTED_B,
  counting,
  DEAF,
  INTERRUPTS,
  IRQ,
  KICKS,
  REBOOT,
  SPURIOUS,
  STARTS,
  TRIPLE_FAULT,
  TURNS,
} from "./program.ts";
import { RunningGuest } from "./running-guest.ts";

const guests: RunningGuest[] = [];

async function make(options: VirtioNetOptions): Promise<RunningGuest> {
  const guest = await RunningGuest.make(options);
  guests.push(guest);
  return guest;
}

afterEach(async () => {
  for (const { machine } of guests.splice(0)) await machine.destroy();
});

describe.each([
  { bar: "io" as const, msix: false },
  { bar: "memory" as const, msix: false },
  { bar: "io" as const, msix: true },
  { bar: "memory" as const, msix: true },
])("a running guest, its card's registers in $bar space, MSI-X $msix", ({ bar, msix }) => {
  let guest: RunningGuest;
  beforeEach(async () => {
    guest = await make({ bar, msix });
  });

  it("is interrupted out of its sleep by a frame that comes in, one after the other", async () => {
    await guest.start();
    for (let seed = 1; seed <= 20; seed++) {
      await guest.sleep();
      guest.deliver(seed);
      await guest.until("the interrupt", () => guest.get(INTERRUPTS) === seed);
      expect(guest.takeReceived()).toEqual([patterned(100, seed)]);
    }
    expect(guest.get(SPURIOUS)).toBe(0);
  });

  it("has the frame and its interrupt before it runs again, when what has sent the frame is done", async () => {
    await guest.start();
    await guest.sleep();
    guest.deliver(1);
    guest.deliver(2);
    await Promise.resolve();
    expect(guest.machine.isHalted).toBe(false);
    expect(guest.takeReceived()).toEqual([patterned(100, 1), patterned(100, 2)]);
    await guest.until("the interrupt", () => guest.get(INTERRUPTS) > 0);
    await guest.sleep();
    expect(guest.get(INTERRUPTS)).toBe(1);
  });

  it("kicks the queue that it means, thousands of times, while interrupts come in between", async () => {
    await guest.start(true);
    let sent = 0;
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 8; i++) guest.queue(i);
      guest.set(KICKS, 50);
      guest.deliver(round);
      await guest.until("all is sent", () => {
        sent += guest.takeSent();
        guest.takeReceived();
        return sent === 8 * (round + 1) && guest.get(KICKS) === 0;
      });
    }
    expect(guest.machine.sent).toHaveLength(320);
    expect(guest.get(INTERRUPTS)).toBeGreaterThan(10);
    expect(guest.machine.card.card.statistics.faults.every((count) => count === 0)).toBe(true);
  });

  it("goes on when its memory has grown in mid-run", async () => {
    await guest.start();
    (guest.machine.cpu.wasm_memory as unknown as { grow(pages: number): void }).grow(1);
    guest.deliver(3);
    await guest.until("the interrupt", () => guest.get(INTERRUPTS) === 1);
    expect(guest.takeReceived()).toEqual([patterned(100, 3)]);
  });

  it("runs on when the card is pulled out in mid-traffic", async () => {
    await guest.start(true);
    guest.set(KICKS, 1000);
    for (let seed = 0; seed < 8; seed++) guest.deliver(seed);
    guest.queue(1);
    guest.machine.card.detach();
    const turns = guest.get(TURNS);
    await guest.until("the kicks are done", () => guest.get(KICKS) === 0);
    expect(guest.get(TURNS)).toBeGreaterThan(turns);
    expect(guest.takeReceived()).toEqual([]);
    expect(guest.machine.emulator.is_running()).toBe(true);
  });

  it("resets the card when it resets the machine, and the rings of before are left alone", async () => {
    await guest.start(true);
    guest.deliver(1);
    await guest.until("the interrupt", () => guest.get(INTERRUPTS) === 1);
    guest.set(REBOOT, 1);
    await guest.until("the program begins anew", () => guest.get(STARTS) === 2);
    expect(guest.machine.card.card.status).toBe(0);
    const turns = guest.get(TURNS);
    for (let seed = 0; seed < 4; seed++) guest.deliver(seed);
    await guest.until("it has had time", () => guest.get(TURNS) > turns + 1000);
    expect(guest.machine.wordAt(guest.receive.device + 2)).toBe(1);
    expect(guest.get(INTERRUPTS)).toBe(1);
  });

  it("finds the card reset when its host restarts it after a triple fault, with which v86 gives up", async () => {
    await guest.start(true);
    const { v86 } = guest.machine.inside;
    const loop = v86 as unknown as { do_tick(): void };
    const { do_tick } = loop;
    const given: unknown[] = [];
    loop.do_tick = () => {
      try {
        do_tick.call(v86);
      } catch (error) {
        given.push(error);
      }
    };
    const said = vi.spyOn(console, "error").mockImplementation(() => {});
    guest.set(TRIPLE_FAULT, 1);
    await guest.until("v86 has given up", () => given.length === 1);
    expect(String(given[0])).toMatch(/unreachable/);
    said.mockRestore();
    guest.deliver(1);
    guest.machine.emulator.restart();
    await guest.machine.emulator.run();
    await guest.until("the program begins anew", () => guest.get(STARTS) === 2);
    expect(guest.machine.card.card.status).toBe(0);
    const turns = guest.get(TURNS);
    guest.deliver(2);
    await guest.until("it has had time", () => guest.get(TURNS) > turns + 1000);
    expect(guest.machine.wordAt(guest.receive.device + 2)).toBe(0);
    expect(given).toHaveLength(1);
  });

  it("is saved while it runs, and goes on in another machine, where no frame comes twice", async () => {
    await guest.start();
    guest.deliver(1);
    await guest.until("the interrupt", () => guest.get(INTERRUPTS) === 1);
    guest.deliver(2);
    guest.machine.card.poll();
    const state = await guest.machine.emulator.save_state();
    const copy = await make({ bar, msix });
    await copy.machine.emulator.restore_state(state);
    Object.assign(copy, { ram: guest.ram, receive: guest.receive, transmit: guest.transmit });
    await guest.machine.emulator.stop();
    await copy.machine.emulator.run();
    await copy.until("the interrupt that was due", () => copy.get(INTERRUPTS) === 2);
    copy.deliver(3);
    await copy.until("one more", () => copy.get(INTERRUPTS) === 3);
    expect(copy.takeReceived()).toEqual([1, 2, 3].map((seed) => patterned(100, seed)));
  });
});

describe("a running guest", () => {
  it("is interrupted no oftener than the latency interval, and once when that ends in its sleep", async () => {
    const latencyIntervalNs = 20_000_000;
    const guest = await make({ latencyIntervalNs });
    await guest.start();
    const { card } = guest.machine;
    const at: number[] = [];
    for (let seed = 0; seed < 5; seed++) {
      guest.deliver(seed);
      await guest.until("the interrupt", () => guest.get(INTERRUPTS) === seed + 1);
      at.push(card.nowNs());
      guest.takeReceived();
    }
    // The first may be seen late, but is sent when the frame comes.
    expect(at.at(-1)! - at[0]!).toBeGreaterThan(2 * latencyIntervalNs);
    expect(card.card.throttle.vectors[0]!.counters.notifications[0]).toBe(5);
  });

  it("is interrupted though another device on the card's line has lowered it for both", async () => {
    const guest = await make({});
    await guest.start();
    const { pci } = guest.machine.cpu.devices;
    const raise = vi.spyOn(pci, "raise_irq");
    // As if raised, and lowered by the other's driver before the CPU came to it.
    raise.mockImplementationOnce(() => {});
    guest.deliver(1);
    await guest.until("the interrupt", () => guest.get(INTERRUPTS) === 1);
    expect(guest.get(SPURIOUS)).toBe(0);
    raise.mockRestore();
  });

  it("hears other devices on when the card takes an interrupt back that it has not come to", async () => {
    const guest = await make({});
    await guest.start(true);
    const { machine } = guest;
    guest.set(DEAF, 1);
    const turns = guest.get(TURNS);
    await guest.until("it is deaf", () => guest.get(TURNS) > turns + 10);
    const raise = vi.spyOn(machine.cpu.devices.pci, "raise_irq");
    guest.deliver(1);
    await guest.until("the line is up", () => raise.mock.calls.length > 0);
    machine.card.detach();
    guest.set(DEAF, 0);
    const turnsLater = guest.get(TURNS);
    await guest.until("it has heard what there was to hear", () => guest.get(TURNS) > turnsLater + 1000);
    expect(guest.get(INTERRUPTS)).toBe(0);
    machine.cpu.device_raise_irq(IRQ);
    await guest.until("another's interrupt", () => guest.get(INTERRUPTS) > 0);
    machine.cpu.device_lower_irq(IRQ);
  });

  it("runs code that the card has written over what its CPU had translated", async () => {
    const guest = await make({});
    await guest.start(true);
    const buffers = guest.receive;
    guest.machine.cpu.jit_dirty_cache(CODE_AT, CODE_AT + 100);
    guest.ram.u8.set(counting(COUNTED_A), CODE_AT);
    guest.set(CALL_CODE, 1);
    // The 8 buffers that lie in the ring are used first.
    buffers.add([{ address: CODE_AT - 12 - 14, length: 1526, write: true }]);
    await guest.until("the code is hot", () => guest.get(COUNTED_A) > 1_000_000);
    const code = Uint8Array.from([...patterned(14), ...counting(COUNTED_B)]);
    for (let i = 0; i < 8; i++) guest.deliver(i);
    guest.machine.deliver(code);
    await guest.until("the new code has run", () => guest.get(COUNTED_B) > 0);
    const counted = guest.get(COUNTED_A);
    await guest.until("it has run for long", () => guest.get(COUNTED_B) > 10_000);
    expect(guest.get(COUNTED_A)).toBe(counted);
  });

  it("that its host has stopped wakes the host by the card, and is interrupted when it runs again", async () => {
    const wakes: number[] = [];
    const guest = await make({ onWake: (vcpu) => wakes.push(vcpu) });
    await guest.start();
    const { machine } = guest;
    const { card } = machine;
    const stopped = machine.emulator.stop();
    // It sleeps; it stops when its loop comes by.
    card.wakeLoop();
    await stopped;
    card.host.write(GUEST_STATE, GUEST_PREEMPTED, card.nowNs());
    guest.deliver(1);
    card.poll();
    expect(wakes).toEqual([0]);
    expect(guest.get(INTERRUPTS)).toBe(0);
    card.host.write(GUEST_STATE, GUEST_ACTIVE, card.nowNs());
    await machine.emulator.run();
    await guest.until("the interrupt", () => guest.get(INTERRUPTS) === 1);
    expect(guest.takeReceived()).toEqual([patterned(100, 1)]);
  });
});
