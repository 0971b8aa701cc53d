/** Public face of the card: `spillway/device`. */

export { FAULTS, type FaultDescription } from "./faults.ts";
export {
  type InterruptSink,
  NOTIFY_CONFIG,
  NOTIFY_GUARD,
  NOTIFY_LATENCY,
  NOTIFY_URGENT,
  NOTIFY_WAKE,
  WAKE_CONFIG,
  WAKE_GUARD,
  WAKE_OVERFLOW,
  WAKE_URGENT,
} from "./interrupts.ts";
export { Frame, type FramePort } from "./link/frame-port.ts";
export { LoopbackPort } from "./link/loopback.ts";
export { type AddressTranslator, type CopyWithin, GuestMemory, type MemoryRegion } from "./memory/guest-memory.ts";
export type { NetCardOptions } from "./net/card-options.ts";
export type { CardState } from "./net/card-state.ts";
export { FEATURES, type FeatureDescription, type FeatureName } from "./net/feature-table.ts";
export type { StagingArea } from "./net/frame-staging.ts";
export { NetCard } from "./net/net-card.ts";
export { CardStatistics, QueueStatistics } from "./net/statistics.ts";
export {
  CAUSE_KIND_CONFIG,
  CAUSE_KIND_CTRL,
  CAUSE_KIND_RX,
  CAUSE_KIND_TX,
  type CardObserver,
  DROP_FAULT,
  DROP_NO_BUFFER,
  DROP_NOT_READY,
  DROP_SUSPENDED,
  DROP_TOO_LONG,
} from "./observer.ts";
export * from "./spec/throttle-registers.ts";
export { HostWindow, THROTTLE_REGISTERS } from "./throttle/host-window.ts";
export { NO_VECTOR, Throttle } from "./throttle/throttle.ts";
export { MMIO_REGISTERS, MMIO_WINDOW_BYTES, MmioTransport, type MmioTransportState } from "./transport/mmio.ts";
export { PCI_COMMON_REGISTERS } from "./transport/pci-common-registers.ts";
export { type PciInterruptSink, PciInterrupts } from "./transport/pci-interrupts.ts";
export type { PciTransportOptions } from "./transport/pci-layout.ts";
export { PciTransport, type PciTransportState } from "./transport/pci-transport.ts";
export {
  compileRegisters,
  NO_REGISTER,
  type RegisterAccess,
  type RegisterDefinition,
  RegisterTable,
  type RegisterWidth,
} from "./transport/register-table.ts";
