/** What two threads do with a packed queue: receiving and sending, in the manner of the card's paths and of a driver. */

import {
  PackedCard as Card,
  KICK,
  PACKED_MEMORY_BYTES,
  type PackedCard,
  type PackedOptions,
  PackedThreadDriver,
  PENDING,
  packedNameOf,
} from "./packed-world.ts";
import type { Experiment } from "./preemption.ts";

export interface PackedExperimentOptions extends PackedOptions {
  /** Frames of each batch that arrives, or of each flush. */
  readonly batches: readonly number[];
  readonly watch?: Experiment["watch"];
}

export interface PackedOutcomes {
  readonly experiment: Experiment;
  /** `interrupts/kicks/frames`, as they were seen at least once. */
  readonly seen: Set<string>;
}

interface Ends {
  card: PackedCard | null;
  guest: PackedThreadDriver | null;
}

function experimentOf(
  options: PackedExperimentOptions,
  ends: Ends,
  run: { guest: (driver: PackedThreadDriver) => void; card: (card: PackedCard) => void },
  guestGives: boolean,
  check: (waiting: ReadonlySet<string>) => void,
): Experiment {
  const { Driver = PackedThreadDriver, watch } = options;
  return {
    memoryBytes: PACKED_MEMORY_BYTES,
    nameOf: packedNameOf,
    ...(watch === undefined ? {} : { watch }),
    sides: [
      {
        name: "guest",
        setUp: (buffer) => {
          const guest = new Driver(buffer, options, !guestGives);
          ends.guest = guest;
          // Before anything is received the ring is full of buffers.
          if (!guestGives) {
            while (guest.freeIds.length > 0) guest.offer(0);
            guest.enableInterrupts();
          }
          return () => run.guest(guest);
        },
      },
      {
        name: "card",
        setUp: (buffer) => {
          const card = new Card(buffer, options, !guestGives);
          ends.card = card;
          return () => run.card(card);
        },
      },
    ],
    check,
  };
}

export function packedReceive(options: PackedExperimentOptions): PackedOutcomes {
  const ends: Ends = { card: null, guest: null };
  let delivered: number[] = [];
  let read: number[] = [];
  const seen = new Set<string>();
  const run = {
    card: (card: PackedCard): void => {
      delivered = [];
      let id = 0;
      for (const count of options.batches) {
        for (let i = 0; i < count; i++) {
          id++;
          const at = card.take();
          if (at < 0) continue;
          card.memory.u8[at] = id;
          card.use();
          delivered.push(id);
        }
        card.finish();
      }
    },
    guest: (driver: PackedThreadDriver): void => {
      read = [];
      let polling = false;
      for (;;) {
        if (Atomics.exchange(driver.words, PENDING, 0) !== 0) {
          polling = true;
          driver.disableInterrupts();
        }
        if (!polling) {
          Atomics.wait(driver.words, PENDING, 0);
          continue;
        }
        while (driver.hasUsed) {
          read.push(driver.take());
          driver.offer(0);
        }
        polling = !driver.enableInterrupts();
        if (polling) driver.disableInterrupts();
      }
    },
  };
  const check = (waiting: ReadonlySet<string>): void => {
    if (waiting.has("card")) throw new Error("the card does not come to its end");
    if (`${read}` !== `${delivered}`) throw new Error(`delivered were ${delivered}, read ${read}: the driver sleeps`);
    const { queue, interrupts } = ends.card!;
    const given = Math.floor(options.size / (options.slots ?? 1));
    if (queue.refresh() !== given) throw new Error(`buffers were lost: ${queue.refresh()} are left`);
    seen.add(`${interrupts}/${ends.guest!.kicks}/${read.length}`);
  };
  return { experiment: experimentOf(options, ends, run, false, check), seen };
}

export function packedTransmit(options: PackedExperimentOptions): PackedOutcomes {
  const ends: Ends = { card: null, guest: null };
  const frames = options.batches.reduce((sum, count) => sum + count, 0);
  const all = Array.from({ length: frames }, (_, i) => i + 1);
  let sent: number[] = [];
  const seen = new Set<string>();
  const run = {
    card: (card: PackedCard): void => {
      sent = [];
      const { queue, words } = card;
      for (;;) {
        const kicked = Atomics.exchange(words, KICK, 0) !== 0;
        if (queue.armed && !kicked) {
          Atomics.wait(words, KICK, 0);
          continue;
        }
        for (;;) {
          const at = card.take();
          if (at >= 0) {
            sent.push(card.memory.u8[at]!);
            card.use();
          } else {
            queue.closeStretch();
            if (queue.armKick() === 0) break;
          }
        }
        card.finish();
      }
    },
    guest: (driver: PackedThreadDriver): void => {
      let id = 0;
      for (const count of options.batches) {
        for (let i = 0; i < count; i++) {
          // A full ring: what was offered must be known to the card before the driver sleeps.
          if (driver.freeIds.length === 0) driver.flush();
          reserve(driver);
          driver.offer(++id);
        }
        driver.flush();
      }
    },
  };
  const check = (waiting: ReadonlySet<string>): void => {
    if (waiting.has("guest")) throw new Error(`sent were ${sent} of ${frames}: the driver sleeps`);
    if (`${sent}` !== `${all}`) throw new Error(`offered were ${all}, sent ${sent}: the card sleeps`);
    const { queue, interrupts } = ends.card!;
    if (queue.refresh() !== 0 || !queue.armed) throw new Error("the card sleeps without an armed kick");
    seen.add(`${interrupts}/${ends.guest!.kicks}/${sent.length}`);
  };
  return { experiment: experimentOf(options, ends, run, true, check), seen };
}

/** Takes back what was sent; sleeps while nothing is free. */
function reserve(driver: PackedThreadDriver): void {
  driver.disableInterrupts();
  for (;;) {
    while (driver.hasUsed) driver.take();
    if (driver.freeIds.length > 0) return;
    if (!driver.enableInterrupts()) continue;
    Atomics.wait(driver.words, PENDING, 0);
    Atomics.exchange(driver.words, PENDING, 0);
  }
}
