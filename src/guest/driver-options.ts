import { QUEUE_SIZE_MAX } from "../device/spec/split-ring.ts";
import { NET_HDR_BYTES } from "../device/spec/virtio-net.ts";
import { MERGEABLE_BUFFER_BYTES } from "./ram-layout.ts";
import type { TransmitFraming } from "./transmit-queue.ts";

/** What can be chosen about a driver; plain data, so that it can be sent to a worker. */
export interface DriverOptions {
  /** Entries wanted for the receive and for the transmit ring, a power of two; the device may allow fewer. */
  readonly ring: number;
  readonly mtu: number;
  /** Receive buffers that are given back at a time. */
  readonly refillBatch: number;
  /** Bit numbers of features not to accept though offered. */
  readonly dropFeatures: readonly number[];
  /** Size of a receive buffer with MRG_RXBUF, a multiple of 8; without that feature a buffer holds a whole frame. */
  readonly mergeableBufferBytes: number;
  readonly transmitFraming: TransmitFraming;
}

export const DRIVER_DEFAULTS: DriverOptions = {
  ring: 256,
  mtu: 1500,
  refillBatch: 16,
  dropFeatures: [],
  mergeableBufferBytes: MERGEABLE_BUFFER_BYTES,
  transmitFraming: "joined",
};

/** virtio 1.4 §5.1.4.1: no link has a smaller one. */
export const MTU_MIN = 68;
export const MTU_MAX = 65535;

export function completeDriverOptions(chosen: Partial<DriverOptions>): DriverOptions {
  const options = { ...DRIVER_DEFAULTS, ...chosen };
  const { ring, mtu, refillBatch, mergeableBufferBytes } = options;
  // A chained transmit frame takes two descriptors.
  if (!(ring >= 2 && ring <= QUEUE_SIZE_MAX && Number.isInteger(Math.log2(ring)))) {
    throw new RangeError(`ring is a power of two from 2 to ${QUEUE_SIZE_MAX}, got ${ring}`);
  }
  if (!(Number.isInteger(mtu) && mtu >= MTU_MIN && mtu <= MTU_MAX)) {
    throw new RangeError(`mtu is ${MTU_MIN} to ${MTU_MAX}, got ${mtu}`);
  }
  if (!(Number.isInteger(refillBatch) && refillBatch >= 1)) {
    throw new RangeError(`refillBatch is at least 1, got ${refillBatch}`);
  }
  if (!(mergeableBufferBytes >= NET_HDR_BYTES && mergeableBufferBytes % 8 === 0)) {
    throw new RangeError(`mergeableBufferBytes is a multiple of 8 of at least 16, got ${mergeableBufferBytes}`);
  }
  return options;
}
