/**
 * A thousand cards in one process, each with a guest of its own: every one of them receives a frame and sends it back,
 * all alive at the same time. Prints how many did, and what a card takes beside its guest's memory, in bytes.
 * Needs --expose-gc.
 */
import { GuestMemory, MmioTransport, NetCard } from "../../dist/device/index.js";
import { bringUp, QUEUE_NOTIFY } from "./mmio-bring-up.mjs";

const CARDS = 1000;
const RAM_BYTES = 16 << 10;
const RING = 8;
const BUFFER = 0x2000;
const FRAME_BYTES = 100;
const HEADER_BYTES = 12;
/** Where the table, the available and the used ring of each queue lie; both queues use the one buffer, one by one. */
const QUEUES = [0, 1].map((index) => {
  const at = 0x100 + index * 0x400;
  return { index, size: RING, desc: at, driver: at + 0x100, device: at + 0x200 };
});

function makeGuest(ram, name) {
  const wire = Uint8Array.from({ length: FRAME_BYTES }, (_, i) => (i * 3 + name) & 0xff);
  const sent = [];
  let waiting = true;
  const card = new NetCard({
    memory: new GuestMemory(ram),
    port: {
      maxFrameBytes: 1514,
      takesChecksum: false,
      takesSegmentation: false,
      receive(frame) {
        if (!waiting) return false;
        waiting = false;
        frame.bytes = wire;
        frame.offset = 0;
        frame.lengthBytes = FRAME_BYTES;
        return true;
      },
      nextArrivalNs: () => Number.POSITIVE_INFINITY,
      transmit(frame) {
        sent.push(frame.bytes.slice(frame.offset, frame.offset + frame.lengthBytes));
        return true;
      },
    },
    interrupts: { notify() {}, wake() {} },
    mac: [2, 0, 0, 0, name >>> 8, name & 0xff],
  });
  return { ram, card, mmio: new MmioTransport(card), wire, sent };
}

/** Makes the buffer available on `queue`, as its first. */
function offer({ ram }, queue, lengthBytes, writable) {
  const { desc, driver } = QUEUES[queue];
  new Uint32Array(ram, desc, 4).set([BUFFER, 0, lengthBytes, writable ? 2 : 0]);
  new Uint16Array(ram, driver, 3).set([0, 1, 0]);
}

const usedIdx = ({ ram }, queue) => new Uint16Array(ram, QUEUES[queue].device, 2)[1];

const rams = Array.from({ length: CARDS }, () => new ArrayBuffer(RAM_BYTES));
globalThis.gc();
const takenBytes = () => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};
const before = takenBytes();
const guests = rams.map(makeGuest);
for (const { mmio } of guests) bringUp(mmio, [], QUEUES);
globalThis.gc();
const bytesPerCard = (takenBytes() - before) / CARDS;

for (const guest of guests) {
  offer(guest, 0, 1536, true);
  guest.card.poll(1000, 16);
}
for (const guest of guests) {
  // What was received goes back as it lies there, its header included.
  offer(guest, 1, HEADER_BYTES + FRAME_BYTES, false);
  guest.mmio.write(QUEUE_NOTIFY, 4, 1, 2000);
  guest.card.poll(2000, 16);
}
const isSame = (a, b) => a !== undefined && a.length === b.length && a.every((byte, i) => byte === b[i]);
const working = guests.filter((guest) => {
  return (
    usedIdx(guest, 0) === 1 && usedIdx(guest, 1) === 1 && guest.sent.length === 1 && isSame(guest.sent[0], guest.wire)
  );
});
process.stdout.write(JSON.stringify({ cardsWorking: working.length, bytesPerCard: Math.round(bytesPerCard) }));
