/**
 * The card in an emulator of one's own: memory, registers, an interrupt line, and a loop that polls.
 * Here the "guest" is the project's driver, called directly; in an emulator its loads and stores come from the CPU.
 */
import { GuestMemory, LoopbackPort, MmioTransport, NetCard } from "spillway/device";
import { makeApplication, NetDriver } from "spillway/guest";

export function run(): { sent: number; received: number; interrupts: number } {
  const ram = new ArrayBuffer(8 << 20);
  let nowNs = 0;
  let irq = false;
  let interrupts = 0;

  const card = new NetCard({
    memory: new GuestMemory(ram),
    port: new LoopbackPort(),
    mac: [0x02, 0, 0, 0, 0, 1],
    interrupts: {
      notify: () => {
        irq = true;
        interrupts++;
      },
      // An emulator whose guest never leaves the CPU is never asked to wake it.
      wake: () => {},
    },
  });
  // Map this window at the address that the machine's device tree tells: 32-bit loads and stores go here.
  const mmio = new MmioTransport(card);
  // At most 20 000 interrupts a second.
  card.throttle.vectors[0]!.latencyNs = 50_000;

  const registers = {
    read: (offset: number, width: 1 | 2 | 4) => mmio.read(offset, width, nowNs),
    write: (offset: number, width: 1 | 2 | 4, value: number) => mmio.write(offset, width, value, nowNs),
  };
  const driver = new NetDriver(
    registers,
    { buffer: ram, byteOffset: 0, sizeBytes: ram.byteLength },
    {},
    { relax: () => {}, relaxMax: 1 },
    null,
  );
  driver.initialise();
  const guest = makeApplication({ kind: "bulk", sendBytes: 200, sendCount: 100 }, driver);

  while (nowNs < 1e9) {
    // The emulated CPU runs for a while …
    guest.work(nowNs);
    driver.flush();
    if (irq) {
      irq = false;
      driver.interrupt(1);
      while (!driver.pollDone()) driver.poll(64);
    }
    // … then the card gets its turn; with nothing due, time may jump to the next deadline.
    card.poll(nowNs, 256);
    if (guest.done && card.nextDeadlineNs() === Number.POSITIVE_INFINITY && !irq) break;
    nowNs = Math.max(nowNs + 1_000, Math.min(card.nextDeadlineNs(), nowNs + 10_000));
  }
  return { sent: driver.sent, received: driver.received, interrupts };
}
