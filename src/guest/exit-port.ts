/**
 * The card's registers as a vCPU thread sees them: through words of its control block, answered by the device thread.
 *
 * A write is posted into a ring and takes effect later; a read waits for its answer, and the device takes posted writes
 * before it answers, so a read comes after all earlier writes. The one read that is no exit is InterruptStatus: it is
 * mirrored in the block, and may lag behind an acknowledge that is still in the ring.
 */
import {
  DEVICE_ALIVE,
  DEVICE_DOORBELL,
  EXIT_ANSWER,
  EXIT_EPOCH,
  EXIT_OFFSET,
  EXIT_REQUEST,
  EXIT_VALUE,
  EXIT_WIDTH,
  INTERRUPT_STATUS,
  POST_ENTRIES,
  POST_ENTRY_WORDS,
  POST_HEAD,
  POST_RING,
  POST_TAIL,
  VCPU_DOORBELL,
} from "../device/spec/control-block.ts";
import { MMIO_INTERRUPT_ACK, MMIO_INTERRUPT_STATUS } from "../device/spec/virtio-mmio.ts";
import { ringDoorbell } from "./doorbell.ts";
import type { RegisterPort } from "./ports.ts";

/** Looks for an answer before going to sleep: about 20 µs, longer than a busy device takes. */
const ANSWER_SPINS = 2000;
/** The host rings when the device ends; this only bounds what a host that died can cost. */
const ANSWER_WAIT_MS = 1000;
/** The device does not ring when it has emptied the post ring. */
const ROOM_WAIT_MS = 0.1;

export class ExitPort implements RegisterPort {
  /** Reads that waited for the device, and posted writes. */
  exits = 0;
  posts = 0;
  readonly #words: Int32Array;
  readonly #system: Int32Array;
  readonly #epoch: number;
  #sequence: number;
  #postHead: number;

  /** `words` is the vCPU's control block, `system` the system block. */
  constructor(words: Int32Array, system: Int32Array) {
    this.#words = words;
    this.#system = system;
    this.#epoch = Atomics.load(words, EXIT_EPOCH);
    this.#sequence = Atomics.load(words, EXIT_REQUEST) & 0xffff;
    this.#postHead = Atomics.load(words, POST_HEAD);
  }

  read(offset: number, widthBytes: 1 | 2 | 4): number {
    const words = this.#words;
    if (offset === MMIO_INTERRUPT_STATUS) return Atomics.load(words, INTERRUPT_STATUS);
    this.exits++;
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const request = (this.#epoch << 16) | this.#sequence;
    words[EXIT_OFFSET] = offset;
    words[EXIT_WIDTH] = widthBytes;
    Atomics.store(words, EXIT_REQUEST, request);
    ringDoorbell(this.#system, DEVICE_DOORBELL);
    this.#awaitAnswer(request);
    return words[EXIT_VALUE]! >>> 0;
  }

  write(offset: number, widthBytes: 1 | 2 | 4, value: number): void {
    const words = this.#words;
    while (((this.#postHead - Atomics.load(words, POST_TAIL)) | 0) >= POST_ENTRIES) {
      ringDoorbell(this.#system, DEVICE_DOORBELL);
      this.rest(ROOM_WAIT_MS);
    }
    const slot = POST_RING + (this.#postHead & (POST_ENTRIES - 1)) * POST_ENTRY_WORDS;
    words[slot] = offset;
    words[slot + 1] = widthBytes;
    words[slot + 2] = value;
    this.#postHead = (this.#postHead + 1) | 0;
    this.posts++;
    Atomics.store(words, POST_HEAD, this.#postHead);
    // An acknowledge asks for nothing to be done: it can wait until the device is awake for another reason.
    if (offset !== MMIO_INTERRUPT_ACK) ringDoorbell(this.#system, DEVICE_DOORBELL);
  }

  /** Gives the device time, at most so long; throws if it has ended. */
  rest(timeoutMs: number): void {
    const bell = Atomics.load(this.#words, VCPU_DOORBELL);
    this.#checkAlive();
    Atomics.wait(this.#words, VCPU_DOORBELL, bell, timeoutMs);
  }

  #awaitAnswer(request: number): void {
    const words = this.#words;
    for (let i = 0; i < ANSWER_SPINS; i++) {
      if (Atomics.load(words, EXIT_ANSWER) === request) return;
    }
    for (;;) {
      const bell = Atomics.load(words, VCPU_DOORBELL);
      if (Atomics.load(words, EXIT_ANSWER) === request) return;
      this.#checkAlive();
      Atomics.wait(words, VCPU_DOORBELL, bell, ANSWER_WAIT_MS);
    }
  }

  #checkAlive(): void {
    if (Atomics.load(this.#system, DEVICE_ALIVE) === 0) throw new Error("the device thread has ended");
  }
}
