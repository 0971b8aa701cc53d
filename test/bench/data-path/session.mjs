/** A subject and its driver, set up for one direction on one ring. */
import { cardSubject } from "./card-subject.mjs";
import { BATCH, BUFFER_BYTES, BUFFERS, HEADER_BYTES, makeFrame, RING } from "./layout.mjs";
import { plainMemory, sharedMemory } from "./memory.mjs";
import { PackedDriver } from "./packed-driver.mjs";
import { packedReceiveFloor, packedTransmitFloor } from "./packed-floor.mjs";
import { SplitDriver } from "./split-driver.mjs";
import { splitReceiveFloor, splitTransmitFloor } from "./split-floor.mjs";
import { v86Subject } from "./v86-subject.mjs";

const FLOORS = {
  rxsplit: splitReceiveFloor,
  txsplit: splitTransmitFloor,
  rxpacked: packedReceiveFloor,
  txpacked: packedTransmitFloor,
};

async function makeSubject(kind, receives, packed) {
  if (kind === "v86") return v86Subject(receives);
  if (kind === "plain") return cardSubject(plainMemory(), receives, packed);
  const memory = sharedMemory();
  if (kind === "device") return cardSubject(memory, receives, packed);
  const floor = FLOORS[(receives ? "rx" : "tx") + (packed ? "packed" : "split")](memory);
  return { memory, ...floor, start: () => true, settle() {}, sent: null };
}

/**
 * `kind` is device (the card in shared memory), floor, plain (the card in an ArrayBuffer) or v86; `direction` rx or tx;
 * `ring` split or packed. Null if the subject does not have the ring.
 */
export async function makeSession(kind, direction, ring) {
  const receives = direction === "rx";
  const packed = ring === "packed";
  const subject = await makeSubject(kind, receives, packed);
  const { memory } = subject;
  const u8 = new Uint8Array(memory.buffer);
  const driver = packed ? new PackedDriver(memory) : new SplitDriver(memory);
  if (!subject.start()) return null;
  const bufferAt = (id) => memory.byteOffset + BUFFERS + id * BUFFER_BYTES;
  let posted = false;
  let lengthBytes = 0;
  let usedBytes = 0;
  let batches = 0;
  let sentBefore = null;

  return {
    /** Frames are `value` bytes long from here on; receive buffers are always of the same size. */
    setLength(value) {
      lengthBytes = value;
      usedBytes = receives ? HEADER_BYTES + value : 0;
      subject.setLength(value);
      if (!receives) {
        for (let id = 0; id < BATCH; id++) u8.set(makeFrame(value), bufferAt(id) + HEADER_BYTES);
        if (posted) driver.resize(HEADER_BYTES + value);
      }
      if (!posted) driver.post(receives ? RING : BATCH, receives ? BUFFER_BYTES : HEADER_BYTES + value, receives);
      posted = true;
      batches = 0;
      sentBefore = subject.sent === null ? null : subject.sent();
    },
    /** The device's part of one batch, which the driver has made ready. */
    batch: subject.batch,
    /** The driver's part. */
    settle() {
      subject.settle();
      const used = driver.recycle(usedBytes);
      if (used !== BATCH) throw new Error(`${used} buffers used in a batch of ${BATCH}`);
      batches++;
    },
    /** What was timed must have done its work: throws unless every frame arrived, byte for byte. */
    check() {
      const frame = makeFrame(lengthBytes);
      const differs = (at) => frame.some((byte, i) => u8[at + i] !== byte);
      if (receives) {
        for (let id = 0; id < RING; id++) {
          if (differs(bufferAt(id) + HEADER_BYTES)) throw new Error(`buffer ${id} does not hold the frame`);
        }
      } else if (sentBefore === null) {
        if (differs(memory.staging.offset + HEADER_BYTES)) throw new Error("the floor has not gathered the frame");
      } else {
        const sent = subject.sent();
        const frames = sent.frames - sentBefore.frames;
        if (frames !== batches * BATCH || sent.bytes - sentBefore.bytes !== frames * lengthBytes) {
          throw new Error(`${frames} frames sent in ${batches} batches`);
        }
      }
    },
  };
}
