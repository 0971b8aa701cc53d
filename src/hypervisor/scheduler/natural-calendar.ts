/**
 * Whose natural slice it is. The calendar knows runnable and idle vCPUs, and nothing of wakes, switches or who is in fact
 * running: so a wake slice cannot move it, and the offline optimum can be computed on it.
 *
 * There are as many *lanes* as physical CPUs. On each, slices of equal length follow one another, filled from one run
 * queue. A lane is not a CPU: the scheduler chooses which CPU carries which lane, and may exchange two of them.
 */

import type { RunQueue } from "./run-queue.ts";

export class NaturalCalendar {
  readonly #sliceNs: number;
  readonly #queue: RunQueue;
  readonly #lanes: number;
  readonly #owners: Int32Array;
  readonly #endsNs: Float64Array;
  /** Order in which the present owners were picked: among slices that end together the earliest picked ends first. */
  readonly #picked: Float64Array;
  readonly #laneOf: Int32Array;
  readonly #hasRun: Uint8Array;
  /** Lanes by end, then by pick; filled when asked for. */
  readonly #order: Int32Array;
  readonly #next: Int32Array;
  #picks = 0;

  constructor(lanes: number, vcpus: number, sliceNs: number, queue: RunQueue) {
    this.#sliceNs = sliceNs;
    this.#queue = queue;
    this.#lanes = lanes;
    this.#owners = new Int32Array(lanes).fill(-1);
    this.#endsNs = new Float64Array(lanes);
    this.#picked = new Float64Array(lanes);
    this.#laneOf = new Int32Array(vcpus).fill(-1);
    this.#hasRun = new Uint8Array(vcpus);
    this.#order = new Int32Array(lanes);
    this.#next = new Int32Array(lanes);
  }

  /** Owner of the lane's current slice, or -1. */
  owner(lane: number): number {
    return this.#owners[lane]!;
  }

  /** The lane whose current slice it owns, or -1. */
  laneOf(vcpu: number): number {
    return this.#laneOf[vcpu]!;
  }

  /** True if it owns a slice or waits for one. */
  holds(vcpu: number): boolean {
    return this.#laneOf[vcpu]! >= 0 || this.#queue.rankOf(vcpu) >= 0;
  }

  emptyLane(): number {
    return this.#owners.indexOf(-1);
  }

  /** Whether it has run in the slice that it owns. A slice that is renewed counts as the same one. */
  hasRun(vcpu: number): boolean {
    return this.#hasRun[vcpu] === 1;
  }

  markRun(vcpu: number): void {
    this.#hasRun[vcpu] = 1;
  }

  /** Becomes runnable: a fresh slice on an empty lane, else the queue's tail. */
  join(vcpu: number, nowNs: number): void {
    const lane = this.emptyLane();
    if (lane >= 0) this.#own(lane, vcpu, nowNs + this.#sliceNs);
    else {
      this.#renewUnwanted(nowNs);
      this.#queue.push(vcpu);
    }
  }

  /** Goes idle. If it owned a slice that ends now, and the next in the queue begins a fresh one. */
  leave(vcpu: number, nowNs: number): void {
    const lane = this.#laneOf[vcpu]!;
    if (lane < 0) {
      this.#queue.remove(vcpu);
      return;
    }
    this.#disown(lane);
    const next = this.#queue.pop();
    if (next >= 0) this.#own(lane, next, nowNs + this.#sliceNs);
  }

  /** When ownership next passes on; Infinity while nobody waits, for slices are then renewed without a trace. */
  nextBoundaryNs(): number {
    let earliestNs = Number.POSITIVE_INFINITY;
    if (this.#queue.size > 0) for (const endNs of this.#endsNs) if (endNs < earliestNs) earliestNs = endNs;
    return earliestNs;
  }

  /** Passes on every slice that has ended. */
  rotate(nowNs: number): void {
    for (let endNs = this.nextBoundaryNs(); endNs <= nowNs; endNs = this.nextBoundaryNs()) this.#passOn(endNs, nowNs);
  }

  /** End of the lane's current slice, on its grid, even if it will be renewed then. */
  endNs(lane: number, nowNs: number): number {
    this.#renewUnwanted(nowNs);
    return this.#endsNs[lane]!;
  }

  /** When the lane's owner loses the CPU if nobody wakes or goes idle: Infinity if nobody waits. */
  plannedEndNs(lane: number): number {
    const waiting = this.#queue.size;
    return waiting === 0 ? Number.POSITIVE_INFINITY : this.#boundaryNs(this.#lastBoundary(lane, waiting));
  }

  /** When the next natural slice of a runnable vCPU begins, by the same token; of one that waits, owns or would join. */
  nextSliceNs(vcpu: number, nowNs: number): number {
    const waiting = this.#queue.size;
    const lane = this.#laneOf[vcpu]!;
    if (lane >= 0) {
      if (waiting === 0) return Number.POSITIVE_INFINITY;
      const last = this.#lastBoundary(lane, waiting);
      return this.#boundaryNs(last + waiting);
    }
    if (this.emptyLane() >= 0) return nowNs;
    this.#renewUnwanted(nowNs);
    this.#sortLanes();
    const rank = this.#queue.rankOf(vcpu);
    return this.#boundaryNs(rank >= 0 ? rank : waiting);
  }

  /**
   * Boundaries still to come are numbered in time order; each serves the head of the queue and sends an owner to its
   * tail. So the owner that is sent there at boundary b is served again at b + waiting. Where that falls on the same
   * instant, its slice is renewed and ends one turn of all lanes later.
   */
  #lastBoundary(lane: number, waiting: number): number {
    this.#sortLanes();
    let boundary = this.#order.indexOf(lane);
    while (this.#boundaryNs(boundary + waiting) === this.#boundaryNs(boundary)) boundary += waiting + this.#lanes;
    return boundary;
  }

  #boundaryNs(number: number): number {
    const turn = Math.floor(number / this.#lanes);
    return this.#endsNs[this.#order[number - turn * this.#lanes]!]! + turn * this.#sliceNs;
  }

  #sortLanes(): void {
    for (let i = 0; i < this.#lanes; i++) {
      let at = i;
      while (at > 0 && this.#endsBefore(i, this.#order[at - 1]!)) {
        this.#order[at] = this.#order[at - 1]!;
        at--;
      }
      this.#order[at] = i;
    }
  }

  #endsBefore(lane: number, other: number): boolean {
    const differenceNs = this.#endsNs[lane]! - this.#endsNs[other]!;
    return differenceNs !== 0 ? differenceNs < 0 : this.#picked[lane]! < this.#picked[other]!;
  }

  /**
   * All slices that end together: their owners line up, and as many are picked as there are lanes. One that is picked
   * again keeps its lane, since to move it would be a switch for nothing.
   */
  #passOn(endNs: number, nowNs: number): void {
    this.#sortLanes();
    // A late call (a busy host thread) takes the grid point that leaves the new slice closest to its full length.
    const nextEndNs = endNs + this.#sliceNs * (1 + Math.round((nowNs - endNs) / this.#sliceNs));
    let count = 0;
    while (count < this.#lanes && this.#endsNs[this.#order[count]!] === endNs) {
      this.#queue.push(this.#owners[this.#order[count]!]!);
      count++;
    }
    for (let i = 0; i < count; i++) {
      this.#next[i] = this.#queue.pop();
      const lane = this.#laneOf[this.#next[i]!]!;
      if (lane >= 0) this.#endsNs[lane] = nextEndNs;
    }
    for (let i = 0; i < count; i++) {
      const lane = this.#order[i]!;
      if (this.#endsNs[lane] === endNs) this.#disown(lane);
    }
    for (let i = 0, free = 0; i < count; i++) {
      const vcpu = this.#next[i]!;
      if (this.#laneOf[vcpu]! >= 0) this.#picked[this.#laneOf[vcpu]!] = ++this.#picks;
      else {
        while (this.#owners[this.#order[free]!]! >= 0) free++;
        this.#own(this.#order[free]!, vcpu, nextEndNs);
      }
    }
  }

  /** While nobody waits no boundary is announced; before somebody does, the ends are brought back onto their grid. */
  #renewUnwanted(nowNs: number): void {
    if (this.#queue.size > 0) return;
    for (let lane = 0; lane < this.#lanes; lane++) {
      const lateNs = nowNs - this.#endsNs[lane]!;
      if (lateNs >= 0) this.#endsNs[lane]! += this.#sliceNs * (Math.floor(lateNs / this.#sliceNs) + 1);
    }
  }

  #own(lane: number, vcpu: number, endNs: number): void {
    this.#owners[lane] = vcpu;
    this.#laneOf[vcpu] = lane;
    this.#hasRun[vcpu] = 0;
    this.#endsNs[lane] = endNs;
    this.#picked[lane] = ++this.#picks;
  }

  #disown(lane: number): void {
    this.#laneOf[this.#owners[lane]!] = -1;
    this.#owners[lane] = -1;
  }
}
