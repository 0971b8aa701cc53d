import { describe, expect, it } from "vitest";
import type { Frame } from "../../src/device/link/frame-port.ts";
import { type FrameRingMemory, RING_HEAD, RING_TAIL } from "../../src/hypervisor/network/frame-ring.ts";
import { FrameRingConsumer } from "../../src/hypervisor/network/frame-ring-consumer.ts";
import { FrameRingProducer } from "../../src/hypervisor/network/frame-ring-producer.ts";
import { type FrameRingOptions, frameRingExperiment, nameInRing, RING_MEMORY_BYTES } from "./frame-ring-experiment.ts";
import { type Bounds, explore } from "./preemption.ts";
import { RaceWatch } from "./races.ts";

const ALL: Bounds = { preemptions: Number.POSITIVE_INFINITY };

function run(options: FrameRingOptions, bounds: Bounds) {
  const { experiment, seen } = frameRingExperiment(options);
  return { ...explore(experiment, bounds), seen };
}

describe("a frame ring between two threads", () => {
  it.each([
    { batches: [1, 1] },
    { batches: [1, 1, 1] },
    { batches: [1, 1, 1], budget: 1 },
    { batches: [2, 1, 2], budget: 2 },
    { batches: [3, 2] },
  ])("loses no frame and no wake-up in any interleaving: %j", (options) => {
    const { states, seen } = run(options, ALL);
    expect(states).toBeGreaterThan(20);
    expect(seen.size).toBeGreaterThan(1);
  });

  it("gives every frame that it took, where it is full and goes round, with whatever four preemptions", () => {
    const { seen } = run({ batches: [3, 2, 1, 3, 2], budget: 2 }, { preemptions: 4 });
    const received = [...seen].map((outcome) => Number.parseInt(outcome, 10));
    expect(Math.min(...received)).toBeLessThan(Math.max(...received));
  });

  it("rings a consumer that may sleep, and spares one that has yet to look", () => {
    const { seen } = run({ batches: [1, 1, 1] }, ALL);
    expect([...seen].sort()).toEqual(["3/0", "3/1", "3/2", "3/3"]);
  });

  it("loses none if plain stores are seen at once", () => {
    run({ batches: [2, 1, 2], budget: 1 }, { ...ALL, plainStores: "early" });
  });

  it("has no plain access that Atomics do not order", () => {
    const watch = new RaceWatch(RING_MEMORY_BYTES, ["producer", "consumer"], nameInRing);
    run({ batches: [2, 2, 2], watch, watched: (view, side) => watch.watched(view, side) }, { preemptions: 4 });
    expect([...watch.races]).toEqual([]);
  });
});

describe("the explorer", () => {
  const found = (options: Partial<FrameRingOptions>): string => {
    try {
      run({ batches: [1, 1], ...options }, { preemptions: 3 });
    } catch (error) {
      return (error as Error).message;
    }
    return "nothing";
  };

  it("finds a producer that looks whether the consumer sleeps before it shows the frame", () => {
    class AsksBeforeShowing extends FrameRingProducer {
      readonly #memory: FrameRingMemory;
      constructor(memory: FrameRingMemory) {
        super(memory);
        this.#memory = memory;
      }
      override publish(): boolean {
        const { control } = this.#memory;
        const mayHaveFoundItEmpty = Atomics.load(control, RING_TAIL) === Atomics.load(control, RING_HEAD);
        super.publish();
        return mayHaveFoundItEmpty;
      }
    }
    expect(found({ Producer: AsksBeforeShowing })).toContain("the consumer sleeps");
  });

  it("finds a consumer that finds the ring empty before it says what it has read", () => {
    class LooksBeforeSaying extends FrameRingConsumer {
      readonly #memory: FrameRingMemory;
      #seenHead = 0;
      constructor(memory: FrameRingMemory) {
        super(memory);
        this.#memory = memory;
      }
      override hasFrame(): boolean {
        const head = Atomics.load(this.#memory.control, RING_HEAD);
        if (head === this.#seenHead) return false;
        this.#seenHead = head;
        return super.hasFrame();
      }
    }
    expect(found({ Consumer: LooksBeforeSaying })).toContain("the consumer sleeps");
  });

  it("finds a producer that shows a frame before it is written", () => {
    class ShowsTooEarly extends FrameRingProducer {
      readonly #memory: FrameRingMemory;
      constructor(memory: FrameRingMemory) {
        super(memory);
        this.#memory = memory;
      }
      override put(frame: Frame, content: Uint8Array, sentAtNs: number): boolean {
        Atomics.add(this.#memory.control, RING_HEAD, 40);
        return super.put(frame, content, sentAtNs);
      }
    }
    expect(found({ Producer: ShowsTooEarly })).toMatch(/torn|makes no sense/);
  });

  it("finds a producer that overwrites what the consumer has in its hands", () => {
    class TakesNoHeed extends FrameRingProducer {
      readonly #memory: FrameRingMemory;
      constructor(memory: FrameRingMemory) {
        super(memory);
        this.#memory = memory;
      }
      override put(frame: Frame, content: Uint8Array, sentAtNs: number): boolean {
        const fits = super.put(frame, content, sentAtNs);
        if (!fits) this.#memory.bytes.fill(0);
        return fits;
      }
    }
    expect(found({ batches: [3, 1], Producer: TakesNoHeed })).toMatch(/torn|makes no sense/);
  });
});
