/** A virtqueue that a test has set up: its ring, and its doorbell. */

import type { DeviceUnderTest } from "./device-under-test.ts";
import type { GuestBuffer } from "./guest-ram.ts";
import { PackedRing } from "./packed-ring.ts";
import type { AddOptions, Chain } from "./ring.ts";
import { SplitRing } from "./split-ring.ts";

export class TestQueue {
  readonly index: number;
  readonly ring: SplitRing | PackedRing;
  readonly #dut: DeviceUnderTest;

  constructor(dut: DeviceUnderTest, index: number, ring: SplitRing | PackedRing) {
    this.#dut = dut;
    this.index = index;
    this.ring = ring;
  }

  /** The ring, of a test that is for split rings alone. */
  get split(): SplitRing {
    if (this.ring instanceof SplitRing) return this.ring;
    throw new Error("this ring is packed");
  }

  /** The ring, of a test that is for packed rings alone. */
  get packed(): PackedRing {
    if (this.ring instanceof PackedRing) return this.ring;
    throw new Error("this ring is split");
  }

  add(buffers: readonly GuestBuffer[], options?: AddOptions): Chain {
    return this.ring.add(buffers, options);
  }

  /** Notifies the card, with the data that was negotiated (§2.9). */
  kick(): void {
    this.#dut.transport.notify(this.index, this.#dut.has("NOTIFICATION_DATA") ? this.ring.nextAvailable : undefined);
  }

  collectUsed(): Chain[] {
    return this.ring.collectUsed();
  }
}
