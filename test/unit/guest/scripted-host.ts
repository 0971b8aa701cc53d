import type { FakeDevice } from "./fake-device.ts";

// Host and device thread in one, for a real vCPU worker: speaks the words of the control block, typed again here from
// docs/memory-model.md and the layout's description. It runs in the test's own thread, between its awaits.

export const ASK = { run: 0, park: 1, parkWhenDrained: 2, stop: 3 } as const;
export const STATUS = { starting: 0, running: 1, preempted: 2, idle: 3, off: 4, stopped: 5, failed: 6 } as const;
const ACTIVE = 1;
const VCPU = 64; // the vCPU's block follows the system block of 64 words

export class ScriptedHost {
  readonly control = new SharedArrayBuffer(4 * (64 + 192));
  readonly words = new Int32Array(this.control);
  readonly device: FakeDevice;
  readonly vcpuBlockWord = VCPU;
  readonly systemBlockWord = 0;
  /** Exits are answered; off, the device thread is as if it hung. */
  answering = true;
  /** The worker ended without a report: waiting is in vain. */
  workerError: unknown = null;
  #seq = 0;

  constructor(device: FakeDevice) {
    this.device = device;
    this.words[32] = 1; // DEVICE_ALIVE
  }

  get status(): number {
    return Atomics.load(this.words, VCPU + 64);
  }

  get stateWord(): number {
    return this.words[VCPU]!;
  }

  /** How often the vCPU has rung the host's doorbell. */
  get hostRings(): number {
    return Atomics.load(this.words, 0);
  }

  get exitWaiting(): boolean {
    return Atomics.load(this.words, VCPU + 80) !== this.words[VCPU + 97];
  }

  ask(what: number): void {
    Atomics.store(this.words, VCPU + 48, what);
    this.ring();
  }

  ring(): void {
    Atomics.add(this.words, VCPU + 34, 1);
    Atomics.notify(this.words, VCPU + 34);
  }

  /** Post 1, let the device take it over, then unpark. `notify`: the device had a cause left. */
  activate(ask: number, notify: boolean): void {
    this.#post();
    this.takeOver(notify);
    this.#unpark(ask);
  }

  /** As `activate`, with a device that is late: `takeOver` is for the test to call. */
  activateAheadOfDevice(ask: number): void {
    this.#post();
    this.#unpark(ask);
  }

  takeOver(notify: boolean): void {
    if (notify) this.#setPending();
    Atomics.store(this.words, VCPU + 16, this.stateWord); // STATE_ECHO, after PENDING
    this.ring();
  }

  #post(): void {
    Atomics.store(this.words, VCPU, (++this.#seq << 2) | ACTIVE);
  }

  #unpark(ask: number): void {
    Atomics.store(this.words, VCPU + 48, ask);
    Atomics.store(this.words, VCPU + 64, STATUS.running);
    this.ring();
  }

  /** Once the vCPU has parked: post 0, take the pending word back. True if there was a bit in it. */
  deactivate(): boolean {
    Atomics.store(this.words, VCPU, ++this.#seq << 2);
    Atomics.store(this.words, VCPU + 16, this.stateWord);
    return Atomics.exchange(this.words, VCPU + 32, 0) !== 0;
  }

  claimIdle(): boolean {
    return Atomics.compareExchange(this.words, VCPU + 64, STATUS.idle, STATUS.off) === STATUS.idle;
  }

  notify(): void {
    this.#setPending();
    this.ring();
  }

  killDevice(): void {
    Atomics.store(this.words, 32, 0);
    this.ring();
  }

  /** One poll of the device thread. */
  serve(): void {
    const { words, device } = this;
    if (!this.answering) return;
    // Looked at before the posted writes are taken: those that came before the read are then there.
    const request = Atomics.load(words, VCPU + 80);
    while (words[VCPU + 113] !== Atomics.load(words, VCPU + 112)) {
      const slot = VCPU + 128 + 4 * (words[VCPU + 113]! & 15);
      device.write(words[slot]!, words[slot + 1] as 1 | 2 | 4, words[slot + 2]!);
      Atomics.add(words, VCPU + 113, 1);
    }
    if (request !== words[VCPU + 97]) {
      words[VCPU + 96] = device.read(words[VCPU + 81]!, words[VCPU + 82] as 1 | 2 | 4);
      Atomics.store(words, VCPU + 97, request);
      this.ring();
    }
    Atomics.store(words, VCPU + 33, device.interruptStatus);
  }

  /** Serves the device until `condition` holds. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const deadline = Date.now() + 10_000;
    while (!condition()) {
      if (this.workerError !== null) throw this.workerError;
      if (this.status === STATUS.failed && !condition())
        throw new Error(`the vCPU failed while the test waited until ${what}`);
      if (Date.now() > deadline) throw new Error(`waited 10 s until ${what}; status ${this.status}`);
      this.serve();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #setPending(): void {
    this.device.interruptStatus |= 1;
    Atomics.store(this.words, VCPU + 33, this.device.interruptStatus);
    Atomics.or(this.words, VCPU + 32, 1);
  }
}
