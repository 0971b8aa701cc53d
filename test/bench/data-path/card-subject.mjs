/** Our card behind its MMIO registers. A batch is timed from the doorbell, or the first frame, to the end of the poll. */
import { GuestMemory, MmioTransport, NetCard } from "../../../dist/device/index.js";
import { BATCH, DEVICE_AREA, DRIVER_AREA, RAM_BYTES, RING, TABLE } from "./layout.mjs";

const REG = {
  deviceFeatures: 0x10,
  deviceFeaturesSel: 0x14,
  driverFeatures: 0x20,
  driverFeaturesSel: 0x24,
  queueSel: 0x30,
  queueNum: 0x38,
  queueReady: 0x44,
  queueNotify: 0x50,
  interruptAck: 0x64,
  status: 0x70,
  queueDesc: 0x80,
  queueDriver: 0x90,
  queueDevice: 0xa0,
};
const F_VERSION_1 = 1 << 0;
const F_RING_PACKED = 1 << 2;
const RUNNING = 15;

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
  const write = (offset, value) => mmio.write(offset, 4, value, nowNs);
  const queue = receives ? 0 : 1;

  return {
    memory,
    setLength(value) {
      port.lengthBytes = value;
      if (memory.wireOf !== null) port.wire = memory.wireOf(value);
    },
    start() {
      write(REG.status, 0);
      write(REG.status, 3);
      write(REG.deviceFeaturesSel, 1);
      const wanted = F_VERSION_1 | (packed ? F_RING_PACKED : 0);
      if ((mmio.read(REG.deviceFeatures, 4, nowNs) & wanted) !== wanted) return false;
      write(REG.driverFeaturesSel, 1);
      write(REG.driverFeatures, wanted);
      write(REG.status, 11);
      write(REG.queueSel, queue);
      write(REG.queueNum, RING);
      write(REG.queueDesc, TABLE);
      write(REG.queueDriver, DRIVER_AREA);
      write(REG.queueDevice, DEVICE_AREA);
      write(REG.queueReady, 1);
      write(REG.status, RUNNING);
      return true;
    },
    batch: receives
      ? () => {
          port.due = BATCH;
          card.poll(nowNs, BATCH);
        }
      : () => {
          mmio.write(REG.queueNotify, 4, 1, nowNs);
          card.poll(nowNs, BATCH);
        },
    settle() {
      if (!interrupted) throw new Error("no interrupt in this batch");
      interrupted = false;
      write(REG.interruptAck, 1);
      nowNs += 100_000;
    },
    sent: () => ({ frames: port.sent[0], bytes: port.sent[1] }),
  };
}
