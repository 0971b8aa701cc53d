import { describe, expect, it } from "vitest";
import type { NetCard } from "../../../../../src/device/index.ts";
import { ReadTracker } from "../../../../../src/hypervisor/engine/linux/read-tracker.ts";
import { EV_DRAIN, EV_REFILL } from "../../../../../src/hypervisor/events/event.ts";

const RING = 8;
/** State words: active in span 1, inactive in span 2, active in span 3. */
const [ACTIVE_1, INACTIVE_2, ACTIVE_3] = [(1 << 2) | 1, 2 << 2, (3 << 2) | 1] as const;

/** A ring of which only this is known: free buffers, and whether the driver has armed itself behind the last frame. */
function setUp() {
  const ring = { free: RING, armed: true };
  const card = {
    get freeReceiveBuffers() {
      return ring.free;
    },
    queues: { mayHaveUnread: () => !ring.armed },
  } as unknown as NetCard;
  const events: (readonly number[])[] = [];
  const log = {
    record: (tNs: number, kind: number, _guest: number, a: number, _b: number, c: number, d: number) => {
      events.push(kind === EV_DRAIN ? [tNs, kind, a, c, d] : [tNs, kind, c]);
    },
  };
  const tracker = new ReadTracker(log, 0, RING);
  tracker.begin(card);
  const deliver = (id: number, nowNs: number, state: number = ACTIVE_1, buffers = 1): void => {
    ring.free -= buffers;
    ring.armed = false;
    tracker.deliver(id, buffers, state, nowNs);
  };
  const look = (nowNs: number, state: number = ACTIVE_1): void => tracker.look(card, state, nowNs);
  return { ring, tracker, events, deliver, look };
}

describe("which frames a driver has read, as its card sees it", () => {
  it("are all of them once it has armed itself behind the last one", () => {
    const { ring, tracker, events, deliver, look } = setUp();
    for (const id of [7, 8, 9]) deliver(id, 100 + id);
    look(200);
    expect(tracker.read).toBe(0);
    ring.armed = true;
    look(300);
    expect([tracker.delivered, tracker.read]).toEqual([3, 3]);
    expect(events).toEqual([[300, EV_DRAIN, 7, 9, 3]]);
    look(400);
    expect(events).toHaveLength(1);
  });

  it("are those whose buffers it has given back, while it is still polling", () => {
    const { ring, tracker, events, deliver, look } = setUp();
    for (let id = 0; id < 6; id++) deliver(id, 100);
    ring.free += 4;
    look(200);
    expect(tracker.read).toBe(4);
    expect(events).toEqual([
      [200, EV_REFILL, 4],
      [200, EV_DRAIN, 0, 3, 4],
    ]);
  });

  it("do not include a frame of which only some buffers came back", () => {
    const { ring, tracker, deliver, look } = setUp();
    deliver(1, 100, ACTIVE_1, 3);
    deliver(2, 100, ACTIVE_1, 3);
    ring.free += 4;
    look(200);
    expect(tracker.read).toBe(1);
    ring.free += 2;
    look(300);
    expect(tracker.read).toBe(2);
  });

  it("are counted once, however often buffers go round", () => {
    const { ring, tracker, deliver, look } = setUp();
    let refilled = 0;
    for (let id = 0; id < 100; id++) {
      deliver(id, id);
      if (id % 3 === 0) {
        refilled += RING - ring.free;
        ring.free = RING;
        look(id);
        expect(tracker.read).toBe(id + 1);
      }
    }
    expect(refilled).toBe(100);
  });

  it("have waited apart by the state that the guest was in", () => {
    const { ring, tracker, deliver, look } = setUp();
    deliver(1, 1000, ACTIVE_1);
    deliver(2, 2000, INACTIVE_2);
    deliver(3, 3000, ACTIVE_3);
    ring.armed = true;
    look(10_000, ACTIVE_3);
    const { latencyNs, latencyCutNs, latencyInactiveNs } = tracker.waits;
    expect([...latencyCutNs.toArray()]).toEqual([9000]);
    expect([...latencyInactiveNs.toArray()]).toEqual([8000]);
    expect([...latencyNs.toArray()]).toEqual([7000]);
  });

  it("begin with what is in the ring when the run does: earlier buffers are no refill", () => {
    const { ring, events, look } = setUp();
    look(100);
    expect(events).toEqual([]);
    ring.free = RING - 1;
    look(200);
    expect(events).toEqual([]);
  });
});
