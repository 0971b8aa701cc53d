/** Known bugs of ring code, one each, for the explorer to find. */

import type { GuestMemory } from "../../src/device/memory/guest-memory.ts";
import { SplitQueue } from "../../src/device/virtqueue/split-queue.ts";
import type { RingAreas } from "../../src/guest/ram-layout.ts";
import type { RamViews } from "../../src/guest/ram-views.ts";
import { needEvent, SplitRingDriver } from "../../src/guest/split-ring-driver.ts";
import { AVAIL_FLAGS_AT, availEventAt, USED_FLAGS_AT, USED_RING_AT, usedEventAt } from "./ring-world.ts";

/** Looks whether an interrupt is wanted before it stores used.idx. */
export class AsksBeforePublishing extends SplitQueue {
  readonly #memory: GuestMemory;
  #event = 0;
  #noInterrupt = false;
  #asked = false;

  constructor(memory: GuestMemory, wantsKicks: boolean) {
    super(memory, wantsKicks);
    this.#memory = memory;
  }

  override publish(): void {
    this.#event = this.#memory.loadAcquireU16(usedEventAt(this.size));
    this.#noInterrupt = this.#memory.loadAcquireU16(AVAIL_FLAGS_AT) !== 0;
    this.#asked = true;
    super.publish();
  }

  override wantsInterrupt(sinceUsedIdx: number): boolean {
    if (!this.#asked) return super.wantsInterrupt(sinceUsedIdx);
    this.#asked = false;
    return this.wants(sinceUsedIdx, this.#event, this.#noInterrupt);
  }

  protected wants(sinceUsedIdx: number, event: number, _noInterrupt: boolean): boolean {
    return needEvent(event, this.usedIdx, sinceUsedIdx);
  }
}

/** The same for a ring without event index. */
export class AsksFlagsBeforePublishing extends AsksBeforePublishing {
  protected override wants(_sinceUsedIdx: number, _event: number, noInterrupt: boolean): boolean {
    return !noInterrupt;
  }
}

/** Compares event indices as if they never wrapped. */
export class ForgetsTheWrap extends SplitQueue {
  readonly #memory: GuestMemory;

  constructor(memory: GuestMemory, wantsKicks: boolean) {
    super(memory, wantsKicks);
    this.#memory = memory;
  }

  override wantsInterrupt(sinceUsedIdx: number): boolean {
    const event = this.#memory.loadAcquireU16(usedEventAt(this.size));
    return sinceUsedIdx <= event && event < this.usedIdx;
  }
}

/** Writes the used elements after the index that shows them. */
export class PublishesTooEarly extends SplitQueue {
  // The used ring's words before anything of the batch was used.
  #before: Uint32Array | null = null;

  override pushUsed(head: number, lengthBytes: number): void {
    this.#before ??= this.#elements();
    super.pushUsed(head, lengthBytes);
  }

  override openStretch(chainsMax: number, writable: boolean): boolean {
    this.#before ??= this.#elements();
    return super.openStretch(chainsMax, writable);
  }

  override publish(): void {
    const before = this.#before ?? this.#elements();
    this.#before = null;
    const after = this.#elements();
    const first = this.usedIdx;
    const count = this.unpublished;
    this.#setElements(before, first, count);
    super.publish();
    this.#setElements(after, first, count);
  }

  #elements(): Uint32Array {
    return Uint32Array.from({ length: 2 * this.size }, (_, i) => this.memory.u32[(USED_RING_AT >>> 2) + i]!);
  }

  #setElements(elements: Uint32Array, first: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const word = 2 * ((first + i) & (this.size - 1));
      for (const at of [word, word + 1]) this.memory.u32[(USED_RING_AT >>> 2) + at] = elements[at]!;
    }
  }
}

/** Does not look at the available ring again after it asked for a kick. */
export class ArmsAndSleeps extends SplitQueue {
  override armKick(): number {
    super.armKick();
    return 0;
  }
}

/** Does not look at the used ring again after it asked for interrupts. */
export class EnablesAndSleeps extends SplitRingDriver {
  override enableNotifications(count = 1): number {
    super.enableNotifications(count);
    return 0;
  }
}

/** Looks at the used ring, then asks for interrupts. */
export class LooksThenEnables extends SplitRingDriver {
  override enableNotifications(count = 1): number {
    const used = this.refreshUsed();
    super.enableNotifications(count);
    return used;
  }
}

/** Looks whether a kick is wanted before it stores avail.idx. */
export class AsksBeforeKicking extends SplitRingDriver {
  readonly #ram: RamViews;
  readonly #withEvents: boolean;
  #published = 0;

  constructor(ram: RamViews, areas: RingAreas, eventIdx: boolean) {
    super(ram, areas, eventIdx);
    this.#ram = ram;
    this.#withEvents = eventIdx;
  }

  override publish(): boolean {
    const event = Atomics.load(this.#ram.u16, availEventAt(this.entries) >>> 1);
    const flags = Atomics.load(this.#ram.u16, USED_FLAGS_AT >>> 1);
    const from = this.#published;
    this.#published = (from + this.staged) & 0xffff;
    super.publish();
    return this.#withEvents ? needEvent(event, this.#published, from) : flags === 0;
  }
}
