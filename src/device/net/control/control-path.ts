/**
 * The control queue: commands of the driver, each answered in its own chain. Source: virtio 1.4 §5.1.9.5.
 *
 *   device-readable   class u8, command u8, data
 *   device-writable   ack u8, result
 */

import { FAULT_CTRL_NO_ACK, FAULT_NONE } from "../../faults.ts";
import { CTRL_ERR, CTRL_OK } from "../../spec/virtio-net-control.ts";
import type { Throttle } from "../../throttle/throttle.ts";
import type { DescriptorChain } from "../../virtqueue/descriptor-chain.ts";
import { TAKE_BROKEN, TAKE_EMPTY, TAKE_FAULT, type Virtqueue } from "../../virtqueue/virtqueue.ts";
import type { Coalescing } from "../coalescing.ts";
import type { FeatureNegotiation } from "../features.ts";
import type { FaultSink, PathContext, QueuePath } from "../queue-path.ts";
import type { QueueStatistics } from "../statistics.ts";
import { CommandData } from "./command-data.ts";
import { type ControlParts, controlCommands } from "./commands.ts";
import type { ControlCommand } from "./control-command.ts";
import { ACK_BYTES, ResultWriter } from "./result-writer.ts";

export class ControlPath implements QueuePath {
  readonly #index: number;
  #queue: Virtqueue;
  readonly #statistics: QueueStatistics;
  readonly #features: FeatureNegotiation;
  readonly #coalescing: Coalescing;
  readonly #chain: DescriptorChain;
  readonly #throttle: Throttle;
  readonly #faults: FaultSink;
  readonly #data: CommandData;
  readonly #result: ResultWriter;
  // By class and command.
  readonly #commands = new Map<number, ControlCommand>();
  #batch = 0;

  constructor(context: PathContext, parts: ControlParts) {
    this.#index = context.index;
    this.#queue = context.queue;
    this.#statistics = context.statistics;
    this.#features = parts.features;
    this.#coalescing = parts.settings.coalescing;
    this.#chain = context.chain;
    this.#throttle = context.throttle;
    this.#faults = context.faults;
    this.#data = new CommandData(context.memory, context.chain);
    this.#result = new ResultWriter(context.memory, context.chain);
    for (const command of controlCommands(parts)) this.#commands.set(keyOf(command.class, command.command), command);
  }

  attach(queue: Virtqueue): void {
    this.#queue = queue;
  }

  /** Carries out what the driver has queued, at most `budgetCommands`; returns the number of chains. */
  run(budgetCommands: number, nowNs: number): number {
    const queue = this.#queue;
    const epoch = queue.epoch;
    let chains = 0;
    while (chains < budgetCommands) {
      const taken = queue.take(this.#chain);
      if (taken === TAKE_EMPTY) {
        if (queue.armKick() === 0 && !queue.broken) break;
        continue;
      }
      if (taken === TAKE_BROKEN) {
        this.#faults.ringFault(this.#index, queue.fault, nowNs);
        return chains;
      }
      chains++;
      this.#complete(taken, nowNs);
      // What follows from the command comes last: it may interrupt the driver, who may reset the card.
      this.#coalescing.apply(nowNs);
      if (queue.epoch !== epoch) return chains;
    }
    this.finish(nowNs);
    return chains;
  }

  giveBack(): void {
    this.#queue.rewind(this.#queue.inHand);
  }

  finish(nowNs: number): void {
    if (this.#batch === 0) return;
    const commands = this.#batch;
    const fromUsedIdx = this.#queue.usedIdx;
    this.abandon();
    this.#queue.publish();
    this.#statistics.batches++;
    this.#throttle.published(this.#index, fromUsedIdx, commands, false, nowNs);
  }

  abandon(): void {
    this.#batch = 0;
  }

  /** Answers the command at hand, or returns its chain unused if there is no room for an answer. */
  #complete(taken: number, nowNs: number): void {
    let fault: number = FAULT_NONE;
    if (taken === TAKE_FAULT) fault = this.#queue.fault;
    else if (!this.#result.open()) fault = FAULT_CTRL_NO_ACK;
    let replyBytes = 0;
    if (fault === FAULT_NONE) {
      this.#statistics.frames++;
      const done = this.#execute();
      this.#result.ack(done ? CTRL_OK : CTRL_ERR);
      replyBytes = ACK_BYTES + this.#result.lengthBytes;
    }
    this.#queue.pushUsed(this.#chain.head, replyBytes);
    this.#statistics.buffers++;
    this.#batch++;
    if (fault !== FAULT_NONE) this.#faults.chainFault(this.#index, fault, nowNs);
  }

  /** False for whatever is unknown, not negotiated, of a wrong length or out of range. */
  #execute(): boolean {
    const data = this.#data;
    if (!data.open()) return false;
    const command = this.#commands.get(keyOf(data.u8(0), data.u8(1)));
    if (command === undefined || !command.features.some((bit) => this.#features.has(bit))) return false;
    const { dataBytes, isOpen = false, resultBytes = 0 } = command;
    if (data.lengthBytes > dataBytes && !isOpen) return false;
    if (this.#result.roomBytes < resultBytes || !data.load(0, dataBytes)) return false;
    // Counted beforehand, for a command may ask how many there were, itself included.
    this.#statistics.commandsDone++;
    const done = command.execute(data, this.#result);
    if (!done) this.#statistics.commandsDone--;
    return done;
  }
}

function keyOf(group: number, command: number): number {
  return (group << 8) | command;
}
