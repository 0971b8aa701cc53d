/** The paths of a card: what serves each of its queues. A path stays with its slot, whatever ring the driver puts there. */

import { DescriptorChain } from "../virtqueue/descriptor-chain.ts";
import type { Virtqueue } from "../virtqueue/virtqueue.ts";
import { ControlPath } from "./control/control-path.ts";
import type { DriverSettings } from "./driver-settings.ts";
import type { Negotiated } from "./negotiated.ts";
import type { QueueBankParts } from "./queue-bank.ts";
import type { PathContext, QueuePath } from "./queue-path.ts";
import { ReceivePath } from "./receive.ts";
import { TransmitPath } from "./transmit.ts";
import { TransmitOffloads } from "./transmit-offloads.ts";

export class QueuePaths {
  // Indexed by pair.
  readonly receivers: readonly ReceivePath[];
  readonly transmitters: readonly TransmitPath[];
  readonly control: ControlPath;
  readonly #bySlot: readonly QueuePath[];

  /** `queues` are those that the slots begin with. */
  constructor(parts: QueueBankParts, queues: readonly Virtqueue[], settings: DriverSettings) {
    const { memory, throttle, observer, faults, statistics, features, config, numbering, queueSizeMax } = parts;
    const { steering } = settings;
    const chain = new DescriptorChain(queueSizeMax, memory.translator !== null);
    const contexts = queues.map((queue, index): PathContext => {
      return {
        index,
        queue,
        statistics: statistics.queues[index]!,
        memory,
        chain,
        throttle,
        steering,
        observer,
        faults,
      };
    });
    const pairs = Array.from({ length: numbering.pairs }, (_, pair) => pair);
    this.receivers = pairs.map((pair) => new ReceivePath(contexts[2 * pair]!, queueSizeMax));
    const offloads = new TransmitOffloads(parts.port, parts.segmenter);
    this.transmitters = pairs.map((pair) => {
      return new TransmitPath(contexts[2 * pair + 1]!, parts.port, parts.staging, offloads);
    });
    const controlled = { features, config, numbering, settings, statistics };
    this.control = new ControlPath(contexts[numbering.control]!, controlled);
    this.#bySlot = [...pairs.flatMap((pair) => [this.receivers[pair]!, this.transmitters[pair]!]), this.control];
  }

  /** The path that serves the queue of a slot. */
  of(slot: number): QueuePath {
    return this.#bySlot[slot]!;
  }

  /** What was negotiated holds from here on. */
  configure(inForce: Negotiated): void {
    for (const receiver of this.receivers) receiver.configure(inForce);
    for (const transmitter of this.transmitters) transmitter.configure(inForce);
  }

  /** Publishes what was used. */
  finish(nowNs: number): void {
    for (const path of this.#bySlot) path.finish(nowNs);
  }

  /** The same when somebody has thrown who was called, and may throw again: the first error is the one to be told. */
  finishAfterError(nowNs: number): void {
    for (const path of this.#bySlot) path.giveBack();
    for (const path of this.#bySlot) {
      try {
        path.finish(nowNs);
      } catch {}
    }
  }

  /** All queues are about to be reset. */
  abandon(): void {
    for (const path of this.#bySlot) path.abandon();
  }

  /** Without a link, what the driver sends is dropped. */
  setLinkUp(up: boolean): void {
    for (const transmitter of this.transmitters) transmitter.linkUp = up;
  }
}
