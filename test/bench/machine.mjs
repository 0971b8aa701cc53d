/** A card and its driver in one thread, on shared memory with the fast copy: the data path and nothing else. */
import { GuestMemory, MmioTransport, NetCard } from "../../dist/device/index.js";
import { makeApplication, NetDriver } from "../../dist/guest/index.js";
import { allocateSharedRam, copyWithinOf, FrameSink, StampedFrames } from "../../dist/hypervisor/index.js";
import { areaBytes } from "../../dist/hypervisor/traffic/stamped-frames.js";

export const BATCH = 128;

export function makeMachine(lengthBytes, application) {
  const staging = areaBytes(1514);
  const ram = allocateSharedRam(4 << 20, staging + 4096);
  const copy = copyWithinOf(ram.memory);
  const memory = new GuestMemory(ram.buffer, [{ guestAddress: 0, sizeBytes: ram.ramBytes, byteOffset: 0 }], copy);
  const frames = new StampedFrames({
    bytes: memory.u8,
    startOffset: ram.stagingOffset,
    lengthBytes: staging,
    slotBytes: 1514,
    destinationMac: [2, 0, 0, 0, 0, 1],
    seed: 1,
  });
  const sink = new FrameSink();
  let due = 0;
  let sequence = 0;
  let nowNs = 0;
  const port = {
    maxFrameBytes: 65549,
    takesChecksum: false,
    takesSegmentation: false,
    receive(frame) {
      if (due === 0) return false;
      due--;
      frames.stamp(frame, sequence++, lengthBytes, nowNs, 1, 0);
      return true;
    },
    nextArrivalNs: () => (due > 0 ? nowNs : Number.POSITIVE_INFINITY),
    transmit: (frame) => sink.accept(frame),
  };
  let interrupted = false;
  const interrupts = { notify: () => (interrupted = true), wake() {} };
  const card = new NetCard({ memory, port, interrupts, mac: [2, 0, 0, 0, 0, 1], queueSizeMax: 256 });
  const mmio = new MmioTransport(card);
  const registers = { read: (o, w) => mmio.read(o, w, nowNs), write: (o, w, v) => mmio.write(o, w, v, nowNs) };
  const driver = new NetDriver(
    registers,
    { buffer: ram.buffer, byteOffset: 0, sizeBytes: ram.ramBytes },
    { ring: 256 },
    { relax() {}, relaxMax: 1 },
    null,
  );
  driver.initialise();
  if (application) makeApplication({ kind: application }, driver);
  else driver.attach({ frame: () => 0 });
  return {
    ram,
    copy,
    /** One batch from the wire to the application; `onCard` is called around the card's part. */
    batch() {
      due = BATCH;
      nowNs += 200_000;
      card.poll(nowNs, BATCH);
      if (interrupted) {
        interrupted = false;
        driver.interrupt(1);
      }
      do driver.poll(BATCH);
      while (driver.polling && !driver.pollDone());
    },
    get received() {
      return driver.received;
    },
  };
}
