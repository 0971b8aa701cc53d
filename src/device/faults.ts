/**
 * Guest faults: what a driver can do wrong, and the sentence of the standard that it breaks. A fault never throws. It
 * is counted, and either the chain goes back unused or the device asks for a reset (DEVICE_NEEDS_RESET).
 */

export const FAULT_NONE = 0;
// Virtqueues.
export const FAULT_AVAIL_IDX = 1;
export const FAULT_HEAD_OUT_OF_RANGE = 2;
export const FAULT_NEXT_OUT_OF_RANGE = 3;
export const FAULT_CHAIN_TOO_LONG = 4;
export const FAULT_CHAIN_BYTES = 5;
export const FAULT_ADDRESS = 6;
export const FAULT_READABLE_AFTER_WRITABLE = 7;
export const FAULT_INDIRECT_NOT_NEGOTIATED = 8;
export const FAULT_INDIRECT_NESTED = 9;
export const FAULT_INDIRECT_WITH_NEXT = 10;
export const FAULT_INDIRECT_LENGTH = 11;
// Network queues.
export const FAULT_RX_READABLE = 12;
export const FAULT_RX_TOO_SMALL = 13;
export const FAULT_TX_WRITABLE = 14;
export const FAULT_TX_TOO_SHORT = 15;
export const FAULT_TX_TOO_LONG = 16;
export const FAULT_TX_OFFLOAD = 17;
export const FAULT_CTRL_NO_ACK = 18;
// Registers.
export const FAULT_FEATURES_REFUSED = 19;
export const FAULT_FEATURES_LATE = 20;
export const FAULT_STATUS = 21;
export const FAULT_QUEUE_SETUP = 22;
export const FAULT_QUEUE_IN_USE = 23;
export const FAULT_QUEUE_INDEX = 24;
export const FAULT_REGISTER_ACCESS = 25;
export const FAULT_CONFIG_WRITE = 26;
// Packed virtqueues.
export const FAULT_CHAIN_UNENDED = 27;
export const FAULT_AVAIL_WITHDRAWN = 28;
// Network queues again.
export const FAULT_TX_OFFLOAD_FIELDS = 29;

/** One line of the fault table, for whoever shows faults to a person. */
export interface FaultDescription {
  /** Name in counters and reports. */
  readonly name: string;
  /** What the driver did. */
  readonly meaning: string;
  /** Where the standard forbids it. */
  readonly section: string;
  /** True if the queue cannot go on, and the device needs a reset. */
  readonly fatal: boolean;
}

/** Indexed by fault code. */
export const FAULTS: readonly FaultDescription[] = [
  entry("none", "nothing", ""),
  entry("avail-idx", "avail.idx went back, or ahead by more than the queue size", "virtio 1.4 §2.7.6", true),
  entry("head-out-of-range", "avail.ring holds a descriptor index outside the table", "virtio 1.4 §2.7.6", true),
  entry("next-out-of-range", "next points outside the descriptor table", "virtio 1.4 §2.7.5"),
  entry("chain-too-long", "a chain has more descriptors than the queue size, or is a loop", "virtio 1.4 §2.7.5.3.1"),
  entry("chain-bytes", "a chain has more than 2^32 bytes", "virtio 1.4 §2.7.5.2"),
  entry("address", "a buffer or indirect table lies outside guest memory", "virtio 1.4 §2.7.5"),
  entry("readable-after-writable", "a device-readable descriptor follows a writable one", "virtio 1.4 §2.7.4.2"),
  entry("indirect-not-negotiated", "INDIRECT is set without RING_INDIRECT_DESC", "virtio 1.4 §2.7.5.3.1"),
  entry("indirect-nested", "INDIRECT is set inside an indirect table", "virtio 1.4 §2.7.5.3.1"),
  entry("indirect-with-next", "INDIRECT and NEXT are both set", "virtio 1.4 §2.7.5.3.1"),
  entry("indirect-length", "an indirect table's length is 0 or no multiple of 16", "virtio 1.4 §2.7.5.3"),
  entry("rx-readable", "a receive buffer is device-readable", "virtio 1.4 §2.7.5.1"),
  entry("rx-too-small", "a receive buffer cannot hold the header or the frame", "virtio 1.4 §5.1.9.3.1"),
  entry("tx-writable", "a transmit buffer is device-writable", "virtio 1.4 §2.7.5.1"),
  entry("tx-too-short", "a transmit buffer ends before the Ethernet header does", "virtio 1.4 §5.1.9.2"),
  entry("tx-too-long", "a transmitted frame is longer than the MTU or the link allows", "virtio 1.4 §5.1.4.2"),
  entry("tx-offload", "a frame asks for an offload that was not negotiated", "virtio 1.4 §5.1.9.2.1"),
  entry("ctrl-no-ack", "a control command leaves no byte for the answer", "virtio 1.4 §5.1.9.5"),
  entry(
    "features-refused",
    "the accepted features are not offered, incomplete, or lack VERSION_1",
    "virtio 1.4 §2.2.1",
  ),
  entry("features-late", "features were written after FEATURES_OK", "virtio 1.4 §3.1.1"),
  entry("status", "a status bit was set out of order, or cleared", "virtio 1.4 §2.1.1"),
  entry("queue-setup", "a queue was enabled with a bad size or address, or before FEATURES_OK", "virtio 1.4 §2.7.1"),
  entry("queue-in-use", "a queue's registers were written while it was ready", "virtio 1.4 §4.2.2.2"),
  entry("queue-index", "a queue was selected or notified that does not exist", "virtio 1.4 §4.2.2"),
  entry("register-access", "a register access has a wrong offset, width or direction", "virtio 1.4 §4.2.2.2"),
  entry("config-write", "the configuration space was written", "virtio 1.4 §5.1.4.2"),
  entry("chain-unended", "a packed chain runs on into descriptors that are not available", "virtio 1.4 §2.8.17", true),
  entry("avail-withdrawn", "a packed descriptor that was available is not any more", "virtio 1.4 §2.8.16", true),
  entry(
    "tx-offload-fields",
    "what a frame's header says of its checksum or segments does not fit the frame",
    "virtio 1.4 §5.1.9.2.1",
  ),
];

function entry(name: string, meaning: string, section: string, fatal = false): FaultDescription {
  return { name, meaning, section, fatal };
}
