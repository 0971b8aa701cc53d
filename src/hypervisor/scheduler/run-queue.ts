import { VcpuFifo } from "./vcpu-fifo.ts";

/** The order in which runnable vCPUs get natural slices. It holds those that wait; whoever owns a slice is not in it. */
export interface RunQueue {
  readonly size: number;
  /** To the tail. */
  push(vcpu: number): void;
  /** Whose turn it is, or -1. */
  pop(): number;
  remove(vcpu: number): boolean;
  /** How many would be popped before it as things stand, -1 if it does not wait. */
  rankOf(vcpu: number): number;
  /** It woke, or went idle. */
  setRunnable(vcpu: number, runnable: boolean): void;
  /** It ran for this long, in whatever slice. */
  charge(vcpu: number, ranNs: number): void;
  /** Periodic bookkeeping begins here. */
  begin(nowNs: number): void;
  /** Brings periodic bookkeeping up to date. */
  account(nowNs: number): void;
}

/** Everyone in turn. What a vCPU did with its slices does not count, so wakes cannot move the calendar. */
export class RoundRobinQueue implements RunQueue {
  readonly #waiting: VcpuFifo;

  constructor(vcpus: number) {
    this.#waiting = new VcpuFifo(vcpus);
  }

  get size(): number {
    return this.#waiting.size;
  }

  push(vcpu: number): void {
    this.#waiting.push(vcpu);
  }

  pop(): number {
    return this.#waiting.size > 0 ? this.#waiting.removeAt(0) : -1;
  }

  remove(vcpu: number): boolean {
    return this.#waiting.remove(vcpu);
  }

  rankOf(vcpu: number): number {
    return this.#waiting.indexOf(vcpu);
  }

  setRunnable(): void {}

  charge(): void {}

  begin(): void {}

  account(): void {}
}
