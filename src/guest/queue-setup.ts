/** Step 7 of virtio 1.4 §3.1.1: discovers the queues, lays them out in guest RAM, and populates the receive queue. */
import { F_RING_EVENT_IDX, F_RING_INDIRECT_DESC } from "../device/spec/virtio.ts";
import {
  CONTROLQ_ONE_PAIR,
  ETHERNET_HEADER_BYTES,
  NET_F_CTRL_VQ,
  NET_F_MRG_RXBUF,
  NET_HDR_BYTES,
  RECEIVEQ,
  TRANSMITQ,
} from "../device/spec/virtio-net.ts";
import { ControlQueue, type Patience } from "./control-queue.ts";
import type { DriverOptions } from "./driver-options.ts";
import type { FeatureSet } from "./features.ts";
import type { MmioTransport } from "./mmio-transport.ts";
import type { DriverObserver } from "./ports.ts";
import { layOutRam, type RamLayout, type RingAreas, SCATTER_ELEMENTS, wholeFrameBufferBytes } from "./ram-layout.ts";
import type { RamViews } from "./ram-views.ts";
import { ReceiveQueue } from "./receive-queue.ts";
import { SplitRingDriver } from "./split-ring-driver.ts";
import { type TransmitFraming, TransmitQueue } from "./transmit-queue.ts";

export interface Queues {
  readonly receive: ReceiveQueue;
  readonly transmit: TransmitQueue;
  readonly control: ControlQueue | null;
}

export interface QueueSetup {
  readonly transport: MmioTransport;
  readonly ram: RamViews;
  readonly options: DriverOptions;
  readonly features: FeatureSet;
  /** Largest MTU of frames from the device, and longest frame to it. */
  readonly receiveMtu: number;
  readonly frameBytesMax: number;
  readonly patience: Patience;
  readonly observer: DriverObserver | null;
}

export function setUpQueues(setup: QueueSetup): Queues {
  const { transport, ram, options, features, observer } = setup;
  const mergeable = features.has(NET_F_MRG_RXBUF);
  const bufferBytes = mergeable ? options.mergeableBufferBytes : wholeFrameBufferBytes(setup.receiveMtu);
  const layout = layOutChecked(setup, bufferBytes);
  const indirect = features.has(F_RING_INDIRECT_DESC);

  const receiveRing = enableQueue(setup, RECEIVEQ, layout.receiveRing);
  // §5.1.4.2: enough buffers for at least one frame of the device's MTU.
  if (receiveRing.entries * bufferBytes < NET_HDR_BYTES + ETHERNET_HEADER_BYTES + setup.receiveMtu) {
    throw new Error(
      `${receiveRing.entries} buffers of ${bufferBytes} bytes cannot take a frame of MTU ${setup.receiveMtu}`,
    );
  }
  const receiveSettings = {
    queue: RECEIVEQ,
    buffersAddress: layout.receiveBuffersAddress,
    bufferBytes,
    mergeable,
    refillBatch: Math.min(options.refillBatch, receiveRing.entries),
  };
  const receive = new ReceiveQueue(receiveRing, ram, transport, receiveSettings, observer);

  const transmitRing = enableQueue(setup, TRANSMITQ, layout.transmitRing);
  const transmitSettings = {
    queue: TRANSMITQ,
    buffersAddress: layout.transmitBuffersAddress,
    bufferBytes: layout.transmitBufferBytes,
    tablesAddress: layout.transmitTablesAddress,
    framing: framingFor(options.transmitFraming, indirect, transmitRing.entries),
    frameBytesMax: setup.frameBytesMax,
  };
  const transmit = new TransmitQueue(transmitRing, ram, transport, transmitSettings, observer);

  let control: ControlQueue | null = null;
  if (features.has(NET_F_CTRL_VQ)) {
    const controlRing = enableQueue(setup, CONTROLQ_ONE_PAIR, layout.controlRing);
    const { controlBufferAddress: bufferAddress, controlTableAddress: tableAddress } = layout;
    const controlSettings = { queue: CONTROLQ_ONE_PAIR, bufferAddress, tableAddress, indirect };
    control = new ControlQueue(controlRing, ram, transport, controlSettings, setup.patience);
  }
  return { receive, transmit, control };
}

/** §2.7.5.3.1: no indirect table unless that was negotiated; and no chain in a ring that is too small for one. */
function framingFor(wanted: TransmitFraming, indirect: boolean, entries: number): TransmitFraming {
  const framing = wanted === "indirect" && !indirect ? "chained" : wanted;
  return framing === "chained" && entries < SCATTER_ELEMENTS ? "joined" : framing;
}

function layOutChecked(setup: QueueSetup, receiveBufferBytes: number): RamLayout {
  const { ring, mtu } = setup.options;
  const transmitBufferBytes = wholeFrameBufferBytes(mtu);
  const layout = layOutRam({ receiveEntries: ring, transmitEntries: ring, receiveBufferBytes, transmitBufferBytes });
  if (layout.endBytes > setup.ram.sizeBytes) {
    throw new Error(`the driver needs ${layout.endBytes} bytes of guest RAM, there are ${setup.ram.sizeBytes}`);
  }
  return layout;
}

/** §4.2.3.2: probe, zero the memory, then tell the device where it is. */
function enableQueue(setup: QueueSetup, queue: number, areas: RingAreas): SplitRingDriver {
  const entriesMax = setup.transport.probeQueue(queue);
  if (entriesMax === 0) throw new Error(`the device has no queue ${queue}`);
  // Fewer entries fit where more would.
  const used = { ...areas, entries: Math.min(areas.entries, 2 ** Math.floor(Math.log2(entriesMax))) };
  const ring = new SplitRingDriver(setup.ram, used, setup.features.has(F_RING_EVENT_IDX));
  setup.transport.enableQueue(used);
  return ring;
}
