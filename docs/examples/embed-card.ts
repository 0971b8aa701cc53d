/**
 * A machine of one's own with the card in it: memory, registers, an interrupt line, and a loop.
 * Here the "guest" is the project's driver, called directly; in an emulator its loads and stores come from the CPU.
 */
import { LoopbackPort } from "spillway/device";
import { makeApplication, NetDriver } from "spillway/guest";
import { attachCard, type Emulator } from "./any-emulator.ts";

const IRQ = 5;
const ADDRESS = 0xd0000000;

class Machine implements Emulator {
  readonly ram = new ArrayBuffer(8 << 20);
  time = 0;
  irq = false;
  /** How often the line went up. */
  interrupts = 0;
  read!: (offset: number, widthBytes: number) => number;
  write!: (offset: number, widthBytes: number, value: number) => void;
  work!: () => number;

  nowNs(): number {
    return this.time;
  }

  map(_address: number, _sizeBytes: number, load: Machine["read"], store: Machine["write"]): void {
    this.read = load;
    this.write = store;
  }

  setIrq(_line: number, high: boolean): void {
    if (high && !this.irq) this.interrupts++;
    this.irq = high;
  }

  betweenStretches(work: () => number): void {
    this.work = work;
  }

  // A machine whose guest never leaves the CPU is never asked to run it.
  activate(): void {}
}

export function run(): { sent: number; received: number; interrupts: number } {
  const machine = new Machine();
  attachCard(machine, new LoopbackPort(), ADDRESS, IRQ);
  const { ram, read, write } = machine;
  const memory = { buffer: ram, byteOffset: 0, sizeBytes: ram.byteLength };
  const driver = new NetDriver({ read, write }, memory, {}, { relax: () => {}, relaxMax: 1 }, null);
  driver.initialise();
  const guest = makeApplication({ kind: "bulk", sendBytes: 200, sendCount: 100 }, driver);

  while (machine.time < 1e9) {
    // The emulated CPU runs for a while …
    guest.work(machine.time);
    driver.flush();
    if (machine.irq) {
      driver.interrupt(1);
      while (!driver.pollDone()) driver.poll(64);
    }
    // … then the card has its turn. With nothing due, time may jump to when it wants the next.
    const sleepNs = machine.work();
    if (guest.done && sleepNs === Number.POSITIVE_INFINITY && !machine.irq) break;
    machine.time += Math.min(Math.max(sleepNs, 1_000), 10_000);
  }
  return { sent: driver.sent, received: driver.received, interrupts: machine.interrupts };
}
