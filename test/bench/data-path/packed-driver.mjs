/** A driver's side of one packed queue (virtio 1.4 §2.8) in few words: buffers go round in the order they come back. */
import { BUFFER_BYTES, BUFFERS, DEVICE_AREA, DRIVER_AREA, RING, TABLE } from "./layout.mjs";

const DESC_F_WRITE = 2;
const DESC_F_AVAIL = 1 << 7;
const DESC_F_USED = 1 << 15;
const TAG = DESC_F_AVAIL | DESC_F_USED;

export class PackedDriver {
  #u16;
  #u32;
  #table;
  #next = 0;
  #wrap = true;
  #usedNext = 0;
  #usedWrap = true;
  #direction = 0;
  #bytes = 0;

  constructor(ram) {
    this.#u16 = new Uint16Array(ram.buffer);
    this.#u32 = new Uint32Array(ram.buffer);
    this.#table = ram.byteOffset + TABLE;
    this.#u32.fill(0, this.#table >>> 2, (this.#table >>> 2) + 4 * RING);
    this.#u32.fill(0, (ram.byteOffset + DRIVER_AREA) >>> 2, ((ram.byteOffset + DRIVER_AREA) >>> 2) + 1);
    this.#u32.fill(0, (ram.byteOffset + DEVICE_AREA) >>> 2, ((ram.byteOffset + DEVICE_AREA) >>> 2) + 1);
  }

  post(count, lengthBytes, writable) {
    this.#direction = writable ? DESC_F_WRITE : 0;
    this.#bytes = lengthBytes;
    for (let id = 0; id < count; id++) this.#offer(id);
  }

  /** Gives the buffers that are available, and those to come, another length. */
  resize(lengthBytes) {
    this.#bytes = lengthBytes;
    for (let slot = 0; slot < RING; slot++) this.#u32[(this.#table + slot * 16 + 8) >>> 2] = lengthBytes;
  }

  recycle(lengthBytes) {
    let count = 0;
    for (;;) {
      const at = this.#table + this.#usedNext * 16;
      const flags = Atomics.load(this.#u16, (at + 14) >>> 1);
      if ((flags & TAG) !== (this.#usedWrap ? TAG : 0)) return count;
      const used = this.#u32[(at + 8) >>> 2];
      if (used !== lengthBytes) throw new Error(`used length ${used}, not ${lengthBytes}`);
      if (++this.#usedNext === RING) {
        this.#usedNext = 0;
        this.#usedWrap = !this.#usedWrap;
      }
      this.#offer(this.#u16[(at + 12) >>> 1]);
      count++;
    }
  }

  #offer(id) {
    const at = this.#table + this.#next * 16;
    this.#u32[at >>> 2] = BUFFERS + id * BUFFER_BYTES;
    this.#u32[(at + 4) >>> 2] = 0;
    this.#u32[(at + 8) >>> 2] = this.#bytes;
    this.#u16[(at + 12) >>> 1] = id;
    Atomics.store(this.#u16, (at + 14) >>> 1, this.#direction | (this.#wrap ? DESC_F_AVAIL : DESC_F_USED));
    if (++this.#next === RING) {
      this.#next = 0;
      this.#wrap = !this.#wrap;
    }
  }
}
