/** A driver's way to a running card over virtio-mmio, with offsets retyped from virtio 1.4 §4.2.2: the same for every bench. */

export const QUEUE_NOTIFY = 0x50;
export const INTERRUPT_ACK = 0x64;
const DEVICE_FEATURES = 0x10;
const DEVICE_FEATURES_SEL = 0x14;
const DRIVER_FEATURES = 0x20;
const DRIVER_FEATURES_SEL = 0x24;
const QUEUE_SEL = 0x30;
const QUEUE_SIZE = 0x38;
const QUEUE_READY = 0x44;
const STATUS = 0x70;
const QUEUE_DESC = 0x80;
const QUEUE_DRIVER = 0x90;
const QUEUE_DEVICE = 0xa0;

/** Status bits, §2.1. */
const DRIVER = 1 | 2;
const FEATURES_OK = DRIVER | 8;
const RUNNING = FEATURES_OK | 4;
const NEEDS_RESET = 64;

/** Feature bits by name; VERSION_1 is always accepted. */
const FEATURE = { CSUM: 0, GUEST_CSUM: 1, GUEST_TSO4: 7, HOST_TSO4: 11, MRG_RXBUF: 15, VERSION_1: 32, RING_PACKED: 34 };

/**
 * Resets the card, accepts `features`, and sets up `queues`, each `{ index, size, desc, driver, device }`. False if the card
 * does not offer a feature.
 */
export function bringUp(mmio, features, queues, nowNs = 0) {
  const write = (offset, value) => mmio.write(offset, 4, value, nowNs);
  const words = [0, 0];
  for (const name of [...features, "VERSION_1"]) words[FEATURE[name] >>> 5] |= 1 << (FEATURE[name] & 31);
  write(STATUS, 0);
  write(STATUS, DRIVER);
  for (const [word, wanted] of words.entries()) {
    write(DEVICE_FEATURES_SEL, word);
    if ((mmio.read(DEVICE_FEATURES, 4, nowNs) & wanted) !== wanted) return false;
    write(DRIVER_FEATURES_SEL, word);
    write(DRIVER_FEATURES, wanted);
  }
  write(STATUS, FEATURES_OK);
  for (const { index, size, desc, driver, device } of queues) {
    write(QUEUE_SEL, index);
    write(QUEUE_SIZE, size);
    write(QUEUE_DESC, desc);
    write(QUEUE_DRIVER, driver);
    write(QUEUE_DEVICE, device);
    write(QUEUE_READY, 1);
  }
  write(STATUS, RUNNING);
  if ((mmio.read(STATUS, 4, nowNs) & (RUNNING | NEEDS_RESET)) !== RUNNING)
    throw new Error("the card refuses its driver");
  return true;
}
