/**
 * The least that a device in this language can do on a packed ring with the same copies. Every descriptor's flags are
 * loaded with acquire, for nothing else orders what the driver wrote before them: it publishes one by one. Of what is
 * used, only the first descriptor's flags are stored with release, last, so that a batch becomes visible as one
 * (virtio 1.4 §2.8.6); 16 bits of buffer ID and 16 of flags go in one store.
 */
import { BATCH, HEADER_BYTES, ONE_BUFFER, RING, TABLE } from "./layout.mjs";

const AVAIL = 1 << 7;
const USED = 1 << 15;
const TAG = AVAIL | USED;
const TABLE_WORD = TABLE >>> 2;

export function packedReceiveFloor({ buffer, copy, wireOffset }) {
  let lengthBytes = 0;
  const u16View = new Uint16Array(buffer);
  const u32View = new Uint32Array(buffer);
  const copyFrame = copy;
  let next = 0;
  let wrap = true;
  const batch = () => {
    const u16 = u16View;
    const u32 = u32View;
    const copyIn = copyFrame;
    const from = wireOffset;
    const frameBytes = lengthBytes;
    const usedBytes = frameBytes + HEADER_BYTES;
    const firstFlags = (TABLE_WORD + next * 4 + 3) * 2 + 1;
    let firstUsed = 0;
    let offered = wrap ? AVAIL : USED;
    let used = wrap ? TAG << 16 : 0;
    let slot = next;
    let count = 0;
    for (; count < BATCH; count++) {
      const descriptor = TABLE_WORD + slot * 4;
      if ((Atomics.load(u16, descriptor * 2 + 7) & TAG) !== offered) break;
      const id = u32[descriptor + 3] & 0xffff;
      const offset = u32[descriptor];
      const at = offset >>> 2;
      u32[at] = 0;
      u32[at + 1] = 0;
      u32[at + 2] = ONE_BUFFER;
      copyIn(offset + HEADER_BYTES, from, frameBytes);
      u32[descriptor + 2] = usedBytes;
      if (count === 0) firstUsed = used;
      else u32[descriptor + 3] = id | used;
      if (++slot === RING) {
        slot = 0;
        wrap = !wrap;
        offered = wrap ? AVAIL : USED;
        used = wrap ? TAG << 16 : 0;
      }
    }
    next = slot;
    if (count !== 0) Atomics.store(u16, firstFlags, firstUsed >>> 16);
  };
  return {
    setLength(value) {
      lengthBytes = value;
    },
    batch,
  };
}

export function packedTransmitFloor({ buffer, copy, staging }) {
  const u16View = new Uint16Array(buffer);
  const u32View = new Uint32Array(buffer);
  const copyFrame = copy;
  let next = 0;
  let wrap = true;
  const batch = () => {
    const u16 = u16View;
    const u32 = u32View;
    const copyOut = copyFrame;
    const to = staging.offset;
    const firstFlags = (TABLE_WORD + next * 4 + 3) * 2 + 1;
    let firstUsed = 0;
    let offered = wrap ? AVAIL : USED;
    let used = wrap ? TAG << 16 : 0;
    let slot = next;
    let count = 0;
    for (; count < BATCH; count++) {
      const descriptor = TABLE_WORD + slot * 4;
      if ((Atomics.load(u16, descriptor * 2 + 7) & TAG) !== offered) break;
      const id = u32[descriptor + 3] & 0xffff;
      copyOut(to, u32[descriptor], u32[descriptor + 2]);
      u32[descriptor + 2] = 0;
      if (count === 0) firstUsed = used;
      else u32[descriptor + 3] = id | used;
      if (++slot === RING) {
        slot = 0;
        wrap = !wrap;
        offered = wrap ? AVAIL : USED;
        used = wrap ? TAG << 16 : 0;
      }
    }
    next = slot;
    if (count !== 0) Atomics.store(u16, firstFlags, firstUsed >>> 16);
  };
  return {
    setLength() {},
    batch,
  };
}
