import {
  type FramePort,
  GuestMemory,
  HostWindow,
  ITR_LATENCY,
  MMIO_WINDOW_BYTES,
  MmioTransport,
  NetCard,
} from "spillway/device";

/** What the card needs of an emulator. Yours has it under other names. */
export interface Emulator {
  readonly ram: ArrayBuffer;
  /** A clock that does not go back. */
  nowNs(): number;
  /** Sends the guest's loads and stores of `sizeBytes` bytes from `address` on to these functions. */
  map(address: number, sizeBytes: number, load: Load, store: Store): void;
  setIrq(line: number, high: boolean): void;
  /** Has `work` called between two stretches of instructions, and again when as many ns have passed as it returns. */
  betweenStretches(work: () => number): void;
  /** The guest is off the CPU, and has work: run it. */
  activate(): void;
}
type Load = (offset: number, widthBytes: number) => number;
type Store = (offset: number, widthBytes: number, value: number) => void;

export function attachCard(emulator: Emulator, port: FramePort, address: number, irq: number): NetCard {
  const card = new NetCard({
    memory: new GuestMemory(emulator.ram),
    port,
    mac: [0x02, 0, 0, 0, 0, 1],
    // The line follows the interrupt status, but is raised between two stretches only, never inside a store.
    interrupts: { notify: () => {}, wake: () => emulator.activate() },
  });
  new HostWindow(card.throttle).write(ITR_LATENCY, 50_000, emulator.nowNs());
  const mmio = new MmioTransport(card);
  emulator.map(
    address,
    MMIO_WINDOW_BYTES,
    (offset, widthBytes) => mmio.read(offset, widthBytes, emulator.nowNs()),
    (offset, widthBytes, value) => {
      mmio.write(offset, widthBytes, value, emulator.nowNs());
      if (card.interruptStatus.value === 0) emulator.setIrq(irq, false);
    },
  );
  emulator.betweenStretches(() => {
    card.poll(emulator.nowNs(), 256);
    if (card.interruptStatus.value !== 0) emulator.setIrq(irq, true);
    return card.nextDeadlineNs() - emulator.nowNs();
  });
  return card;
}
