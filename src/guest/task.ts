/** What a vCPU worker is given and what it gives back; plain data that can be posted between threads. */
import type { ApplicationOptions } from "./applications/make-application.ts";
import type { DriverOptions } from "./driver-options.ts";
import type { LatencySamples } from "./latency-log.ts";

export interface VcpuTask {
  /** The guest's number in the event log. */
  readonly guestIndex: number;
  /** Guest RAM: guest-physical address 0 is at `memoryOffset` bytes, a multiple of 8. */
  readonly memory: SharedArrayBuffer;
  readonly memoryOffset: number;
  readonly memoryBytes: number;
  /** The control blocks (device/spec/control-block.ts): where this vCPU's and the system's begin, in Int32 words. */
  readonly control: SharedArrayBuffer;
  readonly vcpuBlockWord: number;
  readonly systemBlockWord: number;
  /** `process.hrtime.bigint()` at time 0 of the run. */
  readonly clockBase: bigint;
  readonly driver: Partial<DriverOptions>;
  readonly application: Partial<ApplicationOptions>;
  readonly load: "busy" | "idle";
  /** What to ask of the card for its receive queues by NOTF_COAL; null = nothing. */
  readonly coalesce: { readonly maxUsecs: number; readonly maxPackets: number } | null;
  /** Frames that one step may read. */
  readonly budgetFrames: number;
  /** Where the driver's events go (device/spec/event-ring.ts); null = nowhere. */
  readonly eventRing: SharedArrayBuffer | null;
}

export interface VcpuReport {
  /** Why the vCPU failed; null if it was stopped by the host. */
  readonly error: string | null;
  readonly received: number;
  readonly receivedBytes: number;
  readonly sent: number;
  readonly sentBytes: number;
  /** Frames that the application could not send because the ring was full. */
  readonly unsent: number;
  /** What the stamps told. */
  readonly violations: {
    readonly lost: number;
    readonly duplicated: number;
    readonly reordered: number;
    readonly corrupted: number;
  };
  /** What the card did against the virtio standard. */
  readonly deviceViolations: number;
  readonly samples: LatencySamples;
  /** Units of other work that a busy guest got done. */
  readonly workUnits: number;
  readonly steps: number;
  readonly interrupts: number;
  /** Register reads that waited for the device, and posted register writes. */
  readonly exits: number;
  readonly posts: number;
  /** Whether the card granted `coalesce`; null if nothing was asked. */
  readonly coalesceGranted: boolean | null;
  readonly eventsLost: number;
  /** The clock's error at most, ns. */
  readonly clockErrorNs: number;
}
