import type { PacketSource } from "./packet-source.ts";

/** From one pass to the next of a source that takes no time, such as a single packet: there is no gap to go by. */
const PERIOD_WITHOUT_GAPS_NS = 1e9;

/**
 * Plays a source that ends over and over, for ever; a fresh one is opened for each pass. From the last packet of a pass
 * to the first of the next it is as long as the mean gap of the pass, so that the mean rate is that of a single pass.
 */
export class RepeatedSource implements PacketSource {
  timeNs = 0;
  lengthBytes = 0;
  readonly #open: () => PacketSource;
  #source: PacketSource;
  /** Every pass would note the same: the first one's notes are kept. */
  #notesOfFirst: readonly string[] = [];
  #passStartNs = 0;
  #packetsOfPass = 0;
  #passes = 1;
  #closed = false;

  constructor(open: () => PacketSource) {
    this.#open = open;
    this.#source = open();
  }

  next(): boolean {
    if (this.#closed || (!this.#source.next() && !this.#repeat())) return false;
    this.#packetsOfPass++;
    this.timeNs = this.#passStartNs + this.#source.timeNs;
    this.lengthBytes = this.#source.lengthBytes;
    return true;
  }

  get notes(): readonly string[] {
    if (this.#passes === 1) return this.#source.notes;
    return [...this.#notesOfFirst, `played ${this.#passes} times over`];
  }

  close(): void {
    this.#closed = true;
    this.#source.close();
  }

  /** Opens the source anew and takes its first packet; false if it has none. */
  #repeat(): boolean {
    if (this.#passes === 1) this.#notesOfFirst = this.#source.notes;
    const packets = this.#packetsOfPass;
    this.#source.close();
    if (packets === 0) return false;
    const spanNs = this.timeNs - this.#passStartNs;
    const gapNs = spanNs === 0 ? PERIOD_WITHOUT_GAPS_NS : Math.max(1, Math.round(spanNs / (packets - 1)));
    this.#passStartNs = this.timeNs + gapNs;
    this.#packetsOfPass = 0;
    this.#source = this.#open();
    this.#passes++;
    return this.#source.next();
  }
}
