/** A BAR in I/O space: the card's entries in v86's table of ports, wherever the guest has put the BAR. */

import type { PciTransport } from "../../device/index.ts";
import type { EmulatorIo, PortEntry } from "./emulator.ts";

/** Below are the ports of the board; v86 moves no BAR there either. */
const PORT_MIN = 0x1000;
const PORTS = 0x10000;

export class IoWindow {
  /** Where it lies; null while the guest has not put it anywhere, or where ports of others are. */
  address: number | null = null;
  readonly #io: EmulatorIo;
  readonly #entries: readonly PortEntry[];

  /** @param onWrite is called after each access that has written */
  constructor(
    io: EmulatorIo,
    transport: PciTransport,
    bar: number,
    sizeBytes: number,
    nowNs: () => number,
    onWrite: () => void,
  ) {
    this.#io = io;
    const device = { name: "spillway virtio-net" };
    const write = (offset: number, widthBytes: number, value: number): void => {
      transport.writeBar(bar, offset, widthBytes, value, nowNs());
      onWrite();
    };
    this.#entries = Array.from({ length: sizeBytes }, (_, offset) => ({
      read8: () => transport.readBar(bar, offset, 1, nowNs()),
      read16: () => transport.readBar(bar, offset, 2, nowNs()),
      // Ports carry signed words.
      read32: () => transport.readBar(bar, offset, 4, nowNs()) | 0,
      write8: (value: number) => write(offset, 1, value & 0xff),
      write16: (value: number) => write(offset, 2, value & 0xffff),
      write32: (value: number) => write(offset, 4, value >>> 0),
      device,
    }));
  }

  /** Puts it to `address`, or nowhere. Ports that somebody else has are left to them: the card is not decoded there. */
  move(address: number | null): void {
    const { ports } = this.#io;
    if (address === this.address) return;
    if (this.address !== null) {
      for (let i = 0; i < this.#entries.length; i++) ports[this.address + i] = this.#io.create_empty_entry();
    }
    this.address = address !== null && this.isFree(address) ? address : null;
    if (this.address === null) return;
    for (let i = 0; i < this.#entries.length; i++) ports[this.address + i] = this.#entries[i]!;
  }

  /** True if the ports from `address` on exist and belong to nobody. */
  isFree(address: number): boolean {
    const end = address + this.#entries.length;
    if (address < PORT_MIN || end > PORTS) return false;
    return this.#io.ports.slice(address, end).every(({ device }) => device === undefined);
  }
}
