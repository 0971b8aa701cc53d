/**
 * The least that a device in this language can do on a split ring with the same copies: no checks, no counters, one
 * load of `avail.idx` and one store of `used.idx` per batch. It is what the card is measured against, so it is written
 * to be as fast as we know how: everything in locals, one view per width.
 */
import { BATCH, DEVICE_AREA, DRIVER_AREA, HEADER_BYTES, ONE_BUFFER, RING, TABLE } from "./layout.mjs";

const MASK = RING - 1;

export function splitReceiveFloor({ buffer, copy, wireOffset }) {
  let lengthBytes = 0;
  const u16View = new Uint16Array(buffer);
  const u32View = new Uint32Array(buffer);
  const copyFrame = copy;
  let taken = 0;
  const batch = () => {
    const u16 = u16View;
    const u32 = u32View;
    const copyIn = copyFrame;
    const from = wireOffset;
    const frameBytes = lengthBytes;
    const usedBytes = frameBytes + HEADER_BYTES;
    const first = taken;
    const available = (Atomics.load(u16, (DRIVER_AREA + 2) >>> 1) - first) & 0xffff;
    const count = available < BATCH ? available : BATCH;
    for (let i = 0; i < count; i++) {
      const slot = (first + i) & MASK;
      const head = u16[(DRIVER_AREA >>> 1) + 2 + slot];
      const offset = u32[(TABLE >>> 2) + head * 4];
      const at = offset >>> 2;
      u32[at] = 0;
      u32[at + 1] = 0;
      u32[at + 2] = ONE_BUFFER;
      copyIn(offset + HEADER_BYTES, from, frameBytes);
      const used = (DEVICE_AREA >>> 2) + 1 + slot * 2;
      u32[used] = head;
      u32[used + 1] = usedBytes;
    }
    taken = (first + count) & 0xffff;
    Atomics.store(u16, (DEVICE_AREA + 2) >>> 1, taken);
  };
  return {
    setLength(value) {
      lengthBytes = value;
    },
    batch,
  };
}

export function splitTransmitFloor({ buffer, copy, staging }) {
  const u16View = new Uint16Array(buffer);
  const u32View = new Uint32Array(buffer);
  const copyFrame = copy;
  let taken = 0;
  const batch = () => {
    const u16 = u16View;
    const u32 = u32View;
    const copyOut = copyFrame;
    const to = staging.offset;
    const first = taken;
    const available = (Atomics.load(u16, (DRIVER_AREA + 2) >>> 1) - first) & 0xffff;
    const count = available < BATCH ? available : BATCH;
    for (let i = 0; i < count; i++) {
      const slot = (first + i) & MASK;
      const head = u16[(DRIVER_AREA >>> 1) + 2 + slot];
      const descriptor = (TABLE >>> 2) + head * 4;
      copyOut(to, u32[descriptor], u32[descriptor + 2]);
      const used = (DEVICE_AREA >>> 2) + 1 + slot * 2;
      u32[used] = head;
      u32[used + 1] = 0;
    }
    taken = (first + count) & 0xffff;
    Atomics.store(u16, (DEVICE_AREA + 2) >>> 1, taken);
  };
  return {
    setLength() {},
    batch,
  };
}
