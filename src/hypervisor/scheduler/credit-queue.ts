/**
 * A run queue by weight, after Xen's credit scheduler: running burns credits, and every 30 ms the time of all physical
 * CPUs is handed out among the runnable vCPUs by weight. Who has credits left (UNDER) goes before who has not (OVER);
 * inside a class it is first come, first served. Boost stands above both and is not decided here.
 *
 * Two things differ from Xen. No vCPU earns more than one CPU's time, for it cannot use it; the excess goes to the others
 * by weight. And there is no accounting tick: nothing acts on credits between two picks, so the periods that have
 * passed are booked when the next pick is near.
 */

import type { RunQueue } from "./run-queue.ts";
import { VcpuFifo } from "./vcpu-fifo.ts";

export const ACCOUNTING_PERIOD_NS = 30e6;

export class CreditQueue implements RunQueue {
  readonly #waiting: VcpuFifo;
  readonly #pcpus: number;
  readonly #weights: Float64Array;
  readonly #creditsNs: Float64Array;
  readonly #runnable: Uint8Array;
  /** Those whose earnings of the period in hand are booked. */
  readonly #booked: Uint8Array;
  /** Whoever could not use what it earned does not hoard it: a long sleeper would then lock the others out. */
  readonly #creditMaxNs: number;
  #accountedToNs = 0;

  constructor(weights: readonly number[], pcpus: number, sliceNs: number) {
    this.#waiting = new VcpuFifo(weights.length);
    this.#pcpus = pcpus;
    this.#weights = Float64Array.from(weights);
    this.#creditsNs = new Float64Array(weights.length);
    this.#runnable = new Uint8Array(weights.length);
    this.#booked = new Uint8Array(weights.length);
    this.#creditMaxNs = 2 * Math.max(ACCOUNTING_PERIOD_NS, sliceNs);
  }

  get size(): number {
    return this.#waiting.size;
  }

  creditsNs(vcpu: number): number {
    return this.#creditsNs[vcpu]!;
  }

  push(vcpu: number): void {
    this.#waiting.push(vcpu);
  }

  pop(): number {
    const size = this.#waiting.size;
    for (let i = 0; i < size; i++) if (this.#isUnder(this.#waiting.at(i))) return this.#waiting.removeAt(i);
    return size > 0 ? this.#waiting.removeAt(0) : -1;
  }

  remove(vcpu: number): boolean {
    return this.#waiting.remove(vcpu);
  }

  rankOf(vcpu: number): number {
    const index = this.#waiting.indexOf(vcpu);
    if (index < 0) return -1;
    const under = this.#isUnder(vcpu);
    let before = 0;
    for (let i = 0; i < this.#waiting.size; i++) {
      const otherUnder = this.#isUnder(this.#waiting.at(i));
      if (otherUnder === under ? i < index : otherUnder) before++;
    }
    return before;
  }

  setRunnable(vcpu: number, runnable: boolean): void {
    this.#runnable[vcpu] = runnable ? 1 : 0;
  }

  charge(vcpu: number, ranNs: number): void {
    this.#creditsNs[vcpu]! -= ranNs;
  }

  begin(nowNs: number): void {
    this.#accountedToNs = nowNs;
  }

  account(nowNs: number): void {
    while (nowNs - this.#accountedToNs >= ACCOUNTING_PERIOD_NS) {
      this.#accountedToNs += ACCOUNTING_PERIOD_NS;
      this.#handOut();
    }
  }

  #isUnder(vcpu: number): boolean {
    return this.#creditsNs[vcpu]! >= 0;
  }

  #handOut(): void {
    let restNs = ACCOUNTING_PERIOD_NS * this.#pcpus;
    let restWeight = 0;
    for (let v = 0; v < this.#weights.length; v++) {
      this.#booked[v] = this.#runnable[v] ? 0 : 1;
      if (this.#runnable[v]) restWeight += this.#weights[v]!;
    }
    // Each one that is held to a whole CPU leaves more per weight to the rest, which can lift another above a whole CPU.
    let held = true;
    while (held) {
      held = false;
      for (let v = 0; v < this.#weights.length; v++) {
        const weight = this.#weights[v]!;
        if (this.#booked[v] || restNs * weight < ACCOUNTING_PERIOD_NS * restWeight) continue;
        this.#earn(v, ACCOUNTING_PERIOD_NS);
        restNs -= ACCOUNTING_PERIOD_NS;
        restWeight -= weight;
        held = true;
      }
    }
    for (let v = 0; v < this.#weights.length; v++) {
      if (!this.#booked[v]) this.#earn(v, (restNs * this.#weights[v]!) / restWeight);
    }
  }

  #earn(vcpu: number, earnedNs: number): void {
    this.#booked[vcpu] = 1;
    this.#creditsNs[vcpu] = Math.min(this.#creditsNs[vcpu]! + earnedNs, this.#creditMaxNs);
  }
}
