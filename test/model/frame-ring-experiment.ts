/**
 * A ring of frames between two threads: one puts frames, and rings the other where it must; the other takes them in
 * portions, looks once more, and sleeps. Both ends are the real code, down to the frames' bytes.
 */

import { Frame } from "../../src/device/link/frame-port.ts";
import { ringDoorbell } from "../../src/hypervisor/machine/doorbell.ts";
import { FrameRingMemory, frameRingBytes, RING_HEAD, RING_TAIL } from "../../src/hypervisor/network/frame-ring.ts";
import { FrameRingConsumer } from "../../src/hypervisor/network/frame-ring-consumer.ts";
import { FrameRingProducer } from "../../src/hypervisor/network/frame-ring-producer.ts";
import type { Experiment } from "./preemption.ts";
import type { AnyView } from "./ring-world.ts";

/** Three records of the shorter frame fill the ring, and the longer one does not fit behind two of them. */
const CAPACITY_BYTES = 128;
const LENGTHS = [4, 12];
/** A word between head and tail that the ring itself does not use. */
const BELL = 8;

export const RING_MEMORY_BYTES = frameRingBytes(CAPACITY_BYTES);

export interface FrameRingOptions {
  /** Frames of each batch; the producer publishes at the end of a batch. */
  readonly batches: readonly number[];
  /** Frames that the consumer takes before it asks whether there are more; all if left out. */
  readonly budget?: number;
  readonly Producer?: typeof FrameRingProducer;
  readonly Consumer?: typeof FrameRingConsumer;
  readonly watch?: Experiment["watch"];
  /** Returns what a side is to use in place of a view, see races.ts. */
  readonly watched?: <V extends AnyView>(view: V, side: string) => V;
}

export interface FrameRingOutcomes {
  readonly experiment: Experiment;
  /** `frames received / times the consumer was rung`, as they were seen at least once. */
  readonly seen: Set<string>;
}

export function nameInRing(offset: number): string {
  const names = new Map([
    [4 * RING_HEAD, "head"],
    [4 * RING_TAIL, "tail"],
    [4 * BELL, "bell"],
  ]);
  return names.get(offset) ?? "records";
}

export function frameRingExperiment(options: FrameRingOptions): FrameRingOutcomes {
  const { Producer = FrameRingProducer, Consumer = FrameRingConsumer, budget = Number.POSITIVE_INFINITY } = options;
  const memoryOf = (buffer: SharedArrayBuffer, side: string): FrameRingMemory => {
    const memory = new FrameRingMemory(buffer, Math.max(...LENGTHS));
    const { watched } = options;
    if (watched === undefined) return memory;
    memory.words = watched(memory.words, side);
    memory.floats = watched(memory.floats, side);
    memory.bytes = watched(memory.bytes, side);
    return memory;
  };
  const seen = new Set<string>();
  let sent: number[] = [];
  let received: number[] = [];
  let rings = 0;
  const experiment: Experiment = {
    memoryBytes: RING_MEMORY_BYTES,
    nameOf: nameInRing,
    ...(options.watch === undefined ? {} : { watch: options.watch }),
    sides: [
      {
        name: "producer",
        setUp: (buffer) => {
          const memory = memoryOf(buffer, "producer");
          const producer = new Producer(memory);
          sent = [];
          rings = 0;
          return () => {
            let id = 0;
            for (const count of options.batches) {
              for (let i = 0; i < count; i++) if (putNumbered(producer, ++id)) sent.push(id);
              if (!producer.publish()) continue;
              rings++;
              ringDoorbell(memory.control, BELL);
            }
          };
        },
      },
      {
        name: "consumer",
        setUp: (buffer) => {
          const memory = memoryOf(buffer, "consumer");
          const consumer = new Consumer(memory);
          const frame = new Frame(new Uint8Array(0));
          received = [];
          return () => {
            for (;;) {
              // First the doorbell, then everything that it may have been rung for.
              const bell = Atomics.load(memory.control, BELL);
              for (let taken = 0; taken < budget && consumer.take(frame); taken++) received.push(checked(frame));
              if (consumer.broken > 0) throw new Error("the ring makes no sense to the consumer");
              if (!consumer.hasFrame()) Atomics.wait(memory.control, BELL, bell);
            }
          };
        },
      },
    ],
    check: (waiting) => {
      if (waiting.has("producer")) throw new Error("the producer does not come to its end");
      if (`${received}` !== `${sent}`) throw new Error(`sent were ${sent}, received ${received}: the consumer sleeps`);
      seen.add(`${received.length}/${rings}`);
    },
  };
  return { experiment, seen };
}

function putNumbered(producer: FrameRingProducer, id: number): boolean {
  const frame = new Frame(new Uint8Array(LENGTHS[id % LENGTHS.length]!).fill(id));
  frame.lengthBytes = frame.bytes.length;
  frame.id = id;
  return producer.put(frame, frame.bytes, id * 100);
}

/** The frame's number, if all of it says the same. */
function checked({ id, bytes, offset, lengthBytes }: Frame): number {
  if (lengthBytes !== LENGTHS[id % LENGTHS.length]) throw new Error(`frame ${id} was torn: ${lengthBytes} bytes`);
  for (let i = 0; i < lengthBytes; i++) if (bytes[offset + i] !== id) throw new Error(`frame ${id} was torn`);
  return id;
}
