/** Types of `device-host.mjs`, which is plain JavaScript because a worker of Node 20 loads no TypeScript. */

export interface WireFrame {
  readonly bytes: Uint8Array;
  readonly flags?: number;
  readonly gsoType?: number;
  readonly gsoSize?: number;
  readonly hdrLen?: number;
  readonly csumStart?: number;
  readonly csumOffset?: number;
  readonly urgent?: boolean;
}

export type SentFrame = Required<Omit<WireFrame, "urgent">>;

export interface WireProperties {
  readonly maxFrameBytes?: number;
  readonly takesChecksum?: boolean;
  readonly takesSegmentation?: boolean;
  /** False: the wire refuses what it is sent. */
  readonly accepts?: boolean;
}

/** Options of NetCard, as plain values; see there. */
export interface CardOptions {
  readonly mac?: readonly number[];
  readonly mtu?: number;
  readonly queueSizeMax?: number;
  readonly pairs?: number;
  readonly vectors?: number;
  readonly vcpus?: number;
  readonly withhold?: readonly string[];
  readonly extra?: readonly string[];
  readonly offer?: readonly string[];
  readonly speedMbps?: number;
  readonly duplex?: "half" | "full";
  readonly wire?: WireProperties;
  /** On PCI: the driver uses the interrupt line in place of MSI-X. */
  readonly intx?: boolean;
  /** Options of PciTransport. */
  readonly pci?: Readonly<Record<string, unknown>>;
  /** Guest memory lies behind a translator that adds 2^32 to all addresses. */
  readonly translated?: boolean;
}

export interface HostStatistics {
  /** By name; those that have not happened are not there. */
  readonly faults: Readonly<Record<string, number>>;
  readonly filtered: number;
  readonly resets: number;
  /** By slot: receive queue, transmit queue of each pair, then the control queue. */
  readonly queues: readonly { frames: number; bytes: number; buffers: number; kicks: number; dropped: number }[];
}

export interface Interrupt {
  readonly vector: number;
  readonly why: number;
  /** What the interrupt status register, or the ISR, held when the interrupt was sent. */
  readonly status: number;
}

export class DeviceHost {
  constructor(device: unknown, buffer: SharedArrayBuffer);
  polling: boolean;
  create(kind: "MMIO" | "PCI", options: CardOptions): void;
  read(space: number, offset: number, widthBytes: number): number;
  write(space: number, offset: number, widthBytes: number, value: number): void;
  poll(budget?: number): number;
  advance(ns: number): void;
  setPolling(on: boolean): void;
  turn(): number;
  inject(arrivals: readonly WireFrame[]): void;
  takeSent(): SentFrame[];
  takeInterrupts(): Interrupt[];
  isLineAsserted(): boolean;
  takeWakes(): { vcpu: number; why: number }[];
  setWire(properties: WireProperties): void;
  setGuestState(vcpu: number, active: boolean): void;
  setLinkUp(up: boolean): void;
  announce(): void;
  statistics(): HostStatistics;
  setCounter(slot: number, name: string, value: number): void;
  replaceBySaved(): void;
}
