/** A driver's side of one split queue (virtio 1.4 §2.7) in few words: buffers go round in the order they come back. */
import { BUFFER_BYTES, BUFFERS, DEVICE_AREA, DRIVER_AREA, RING, TABLE } from "./layout.mjs";

const DESC_F_WRITE = 2;

export class SplitDriver {
  #u16;
  #u32;
  #table;
  #avail;
  #used;
  #availIdx = 0;
  #usedIdx = 0;

  /** @param ram guest memory: its buffer, and the offset in it of guest address 0 */
  constructor(ram) {
    this.#u16 = new Uint16Array(ram.buffer);
    this.#u32 = new Uint32Array(ram.buffer);
    this.#table = (ram.byteOffset + TABLE) >>> 2;
    this.#avail = (ram.byteOffset + DRIVER_AREA) >>> 1;
    this.#used = ram.byteOffset + DEVICE_AREA;
    this.#u16.fill(0, this.#avail, this.#avail + 3 + RING);
    this.#u32.fill(0, this.#used >>> 2, (this.#used >>> 2) + 2 + 2 * RING);
  }

  /** Makes buffers `0 … count` available, each `lengthBytes` long; device-writable or readable. */
  post(count, lengthBytes, writable) {
    for (let id = 0; id < count; id++) {
      const at = this.#table + id * 4;
      this.#u32[at] = BUFFERS + id * BUFFER_BYTES;
      this.#u32[at + 1] = 0;
      this.#u32[at + 2] = lengthBytes;
      this.#u32[at + 3] = writable ? DESC_F_WRITE : 0;
      this.#u16[this.#avail + 2 + (id % RING)] = id;
    }
    this.#availIdx = count;
    this.#publish();
  }

  /** Gives all the buffers that are available another length. */
  resize(lengthBytes) {
    for (let id = 0; id < RING; id++) this.#u32[this.#table + id * 4 + 2] = lengthBytes;
  }

  /** Makes every used buffer available again; returns their number. Throws if a used length is not `lengthBytes`. */
  recycle(lengthBytes) {
    const usedIdx = Atomics.load(this.#u16, (this.#used + 2) >>> 1);
    const count = (usedIdx - this.#usedIdx) & 0xffff;
    for (let i = 0; i < count; i++) {
      const at = ((this.#used + 4) >>> 2) + (this.#usedIdx & (RING - 1)) * 2;
      if (this.#u32[at + 1] !== lengthBytes) throw new Error(`used length ${this.#u32[at + 1]}, not ${lengthBytes}`);
      this.#u16[this.#avail + 2 + (this.#availIdx & (RING - 1))] = this.#u32[at];
      this.#usedIdx = (this.#usedIdx + 1) & 0xffff;
      this.#availIdx = (this.#availIdx + 1) & 0xffff;
    }
    this.#publish();
    return count;
  }

  #publish() {
    Atomics.store(this.#u16, this.#avail + 1, this.#availIdx);
  }
}
