/** Our card behind its MMIO registers. A batch is timed from the doorbell, or the first frame, to the end of the poll. */
import { GuestMemory, MmioTransport, NetCard } from "../../../dist/device/index.js";
import { bringUp, INTERRUPT_ACK, QUEUE_NOTIFY } from "../mmio-bring-up.mjs";
import { BATCH, DEVICE_AREA, DRIVER_AREA, RAM_BYTES, RING, TABLE } from "./layout.mjs";

/** Gives the same frame `due` times, and counts what is sent. */
class BenchPort {
  maxFrameBytes = 65549;
  takesChecksum = false;
  takesSegmentation = false;
  wire;
  lengthBytes = 0;
  due = 0;
  /** Frames and bytes; numbers that outgrow 31 bits are allocated anew for each change of a field. */
  sent = new Float64Array(2);
  #offset;

  constructor(wire, offset) {
    this.wire = wire;
    this.#offset = offset;
  }

  receive(frame) {
    if (this.due === 0) return false;
    this.due--;
    // A pointer that is stored costs more than one that is compared.
    if (frame.bytes !== this.wire) frame.bytes = this.wire;
    frame.offset = this.#offset;
    frame.lengthBytes = this.lengthBytes;
    return true;
  }

  nextArrivalNs() {
    return Number.POSITIVE_INFINITY;
  }

  transmit(frame) {
    this.sent[0]++;
    this.sent[1] += frame.lengthBytes;
    return true;
  }
}

/** Null if the card does not offer the ring. */
export function cardSubject(memory, receives, packed) {
  const { wireOffset } = memory;
  const regions = [{ guestAddress: 0, sizeBytes: RAM_BYTES, byteOffset: 0 }];
  const guestMemory = new GuestMemory(memory.buffer, regions, memory.copy);
  let nowNs = 0;
  let interrupted = false;
  const port = new BenchPort(guestMemory.u8, wireOffset);
  const interrupts = {
    notify() {
      interrupted = true;
    },
    wake() {},
  };
  const card = new NetCard({
    memory: guestMemory,
    port,
    interrupts,
    mac: [2, 0, 0, 0, 0, 1],
    queueSizeMax: RING,
    ...(packed ? { extra: ["RING_PACKED"] } : {}),
    ...(memory.staging ? { txStaging: memory.staging } : {}),
  });
  const mmio = new MmioTransport(card);
  const index = receives ? 0 : 1;
  const queue = { index, size: RING, desc: TABLE, driver: DRIVER_AREA, device: DEVICE_AREA };

  return {
    memory,
    setLength(value) {
      port.lengthBytes = value;
      if (memory.wireOf !== null) port.wire = memory.wireOf(value);
    },
    start: () => bringUp(mmio, packed ? ["RING_PACKED"] : [], [queue], nowNs),
    batch: receives
      ? () => {
          port.due = BATCH;
          card.poll(nowNs, BATCH);
        }
      : () => {
          mmio.write(QUEUE_NOTIFY, 4, 1, nowNs);
          card.poll(nowNs, BATCH);
        },
    settle() {
      if (!interrupted) throw new Error("no interrupt in this batch");
      interrupted = false;
      mmio.write(INTERRUPT_ACK, 4, 1, nowNs);
      nowNs += 100_000;
    },
    sent: () => ({ frames: port.sent[0], bytes: port.sent[1] }),
  };
}
