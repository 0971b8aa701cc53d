/** A card, and a driver of one split queue that hands it frames to finish, or takes them. */

import { GuestMemory, MmioTransport, NetCard } from "../../../dist/device/index.js";
import { allocateSharedRam, copyWithinOf } from "../../../dist/hypervisor/index.js";
import { bringUp, INTERRUPT_ACK, QUEUE_NOTIFY } from "../mmio-bring-up.mjs";
import { CASES, makeFrame, SEGMENT_BYTES } from "./cases.mjs";

const RING = 256;
const RAM_BYTES = 4 << 20;
const TABLE = 0x1_0000;
const AVAIL = 0x1_2000;
const USED = 0x1_3000;
const BUFFERS = 0x2_0000;
const HEADER_BYTES = 12;
const RECEIVE_BUFFER_BYTES = 1536;
const SEND_BUFFER_BYTES = 65_600;
const WIRE_BYTES = 65_600;
const STAGING_BYTES = 65_664;
const NEEDS_CSUM = 1;
const GSO_TCPV4 = 1;

/** `batch` moves `framesPerBatch` frames; `settle` is the driver's part. */
export function makeSession(name) {
  const { receives, portTakes, driverTakes, gso, frameBytes, makes } = CASES[name];
  const ram = allocateSharedRam(RAM_BYTES, WIRE_BYTES + STAGING_BYTES);
  const u8 = new Uint8Array(ram.buffer);
  const u16 = new Uint16Array(ram.buffer);
  const u32 = new Uint32Array(ram.buffer);
  const copy = copyWithinOf(ram.memory);
  const regions = [{ guestAddress: 0, sizeBytes: RAM_BYTES, byteOffset: 0 }];
  const memory = new GuestMemory(ram.buffer, regions, copy);
  const wireOffset = ram.stagingOffset + HEADER_BYTES;
  const frame = makeFrame(frameBytes);
  u8.set(frame, wireOffset);
  const framesPerBatch = gso ? 4 : 64;
  let due = 0;
  // Numbers that outgrow 31 bits are allocated anew for each change of a variable.
  const moved = new Float64Array(1);
  const header = {
    flags: NEEDS_CSUM,
    gsoType: gso ? GSO_TCPV4 : 0,
    gsoSize: gso ? SEGMENT_BYTES : 0,
    csumStart: 34,
    csumOffset: 16,
  };
  const port = {
    maxFrameBytes: WIRE_BYTES,
    takesChecksum: portTakes,
    takesSegmentation: portTakes,
    receive(into) {
      if (due === 0) return false;
      due--;
      into.bytes = memory.u8;
      into.offset = wireOffset;
      into.lengthBytes = frameBytes;
      into.flags = header.flags;
      into.gsoType = header.gsoType;
      into.gsoSize = header.gsoSize;
      into.csumStart = header.csumStart;
      into.csumOffset = header.csumOffset;
      return true;
    },
    nextArrivalNs: () => Number.POSITIVE_INFINITY,
    transmit() {
      moved[0]++;
      return true;
    },
  };
  const card = new NetCard({
    memory,
    port,
    interrupts: { notify() {}, wake() {} },
    mac: [2, 0, 0, 0, 0, 1],
    queueSizeMax: RING,
    txStaging: { bytes: u8, offset: ram.stagingOffset + WIRE_BYTES, lengthBytes: STAGING_BYTES },
  });
  const mmio = new MmioTransport(card);
  const queue = receives ? 0 : 1;
  const takes = driverTakes ? ["GUEST_CSUM", "GUEST_TSO4"] : [];
  const features = receives ? ["MRG_RXBUF", ...takes] : ["CSUM", "HOST_TSO4"];
  const rings = { index: queue, size: RING, desc: TABLE, driver: AVAIL, device: USED };
  if (!bringUp(mmio, features, [rings])) throw new Error(`the card does not offer all of ${features}`);

  const chains = receives ? RING : framesPerBatch;
  const bufferBytes = receives ? RECEIVE_BUFFER_BYTES : SEND_BUFFER_BYTES;
  for (let id = 0; id < chains; id++) {
    const at = (TABLE >>> 2) + 4 * id;
    // Frames that are sent share their bytes.
    const address = receives ? BUFFERS + id * bufferBytes : BUFFERS + (id & 1) * 65_664;
    u32[at] = address;
    u32[at + 2] = receives ? bufferBytes : HEADER_BYTES + frameBytes;
    u32[at + 3] = receives ? 2 : 0;
    if (receives) continue;
    u8.set([header.flags, header.gsoType], address);
    u16[(address >>> 1) + 2] = header.gsoSize;
    u16[(address >>> 1) + 3] = header.csumStart;
    u16[(address >>> 1) + 4] = header.csumOffset;
    u8.set(frame, address + HEADER_BYTES);
  }
  let availIdx = 0;
  const offer = (count) => {
    for (let i = 0; i < count; i++) u16[(AVAIL >>> 1) + 2 + ((availIdx + i) & (RING - 1))] = (availIdx + i) % chains;
    availIdx = (availIdx + count) & 0xffff;
    Atomics.store(u16, (AVAIL >>> 1) + 1, availIdx);
  };
  offer(chains);
  let usedIdx = 0;

  return {
    framesPerBatch,
    frameBytes,
    batch() {
      if (receives) due = framesPerBatch;
      else mmio.write(QUEUE_NOTIFY, 4, queue, 0);
      card.poll(0, 65_536);
    },
    settle() {
      mmio.write(INTERRUPT_ACK, 4, 1, 0);
      const used = Atomics.load(u16, (USED >>> 1) + 1);
      const count = (used - usedIdx) & 0xffff;
      usedIdx = used;
      offer(count);
    },
    /** Throws unless as many frames have been delivered or sent as there must be. */
    check(batches) {
      const { frames, dropped } = card.statistics.queues[queue];
      if (frames !== batches * framesPerBatch * makes || dropped !== 0) {
        throw new Error(`${frames} frames and ${dropped} drops in ${batches} batches`);
      }
    },
    /** The bare copy of the same bytes, once each. */
    copyFrames() {
      for (let i = 0; i < framesPerBatch; i++) copy(BUFFERS + HEADER_BYTES, wireOffset, frameBytes);
    },
  };
}
