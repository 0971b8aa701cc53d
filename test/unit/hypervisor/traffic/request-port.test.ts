import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import { FrameSink } from "../../../../src/hypervisor/traffic/frame-sink.ts";
import { RequestPort, type RequestPortOptions } from "../../../../src/hypervisor/traffic/request-port.ts";
import { areaBytes, StampedFrames } from "../../../../src/hypervisor/traffic/stamped-frames.ts";

const NEVER = Number.POSITIVE_INFINITY;

function make(more: Partial<RequestPortOptions> = {}) {
  const bytes = new Uint8Array(2 * areaBytes(200));
  const destinationMac = [2, 0, 0, 0, 0, 1];
  const half = { bytes, lengthBytes: bytes.length / 2, slotBytes: 200, destinationMac, seed: 1 };
  const frames = new StampedFrames({ ...half, startOffset: 0 });
  const guestFrames = new StampedFrames({ ...half, startOffset: bytes.length / 2 });
  const sink = new FrameSink();
  const port = new RequestPort({ frames, sink, outstanding: 2, thinkNs: 100, lengthBytes: 60, count: null, ...more });
  const frame = new Frame(bytes);
  const answer = new Frame(bytes);
  return {
    port,
    sink,
    /** Takes a request, and answers its client and number; null if none is due. */
    take(nowNs: number): { flow: number; sequence: number } | null {
      if (!port.receive(frame, nowNs)) return null;
      const view = new DataView(frame.bytes.buffer, frame.offset);
      return { flow: view.getUint16(14, true), sequence: view.getUint32(16, true) };
    },
    answer(request: { flow: number; sequence: number } | null, nowNs: number): void {
      if (request === null) throw new Error("there is no request to answer");
      guestFrames.stamp(answer, request.sequence, 150, nowNs, 0, request.flow);
      port.transmit(answer, nowNs);
    },
    samples(): number[] {
      const times = new Float64Array(port.responseNs.count);
      port.responseNs.copyTo(times, 0);
      return [...times];
    },
  };
}

describe("RequestPort", () => {
  it("sends as many requests as it keeps in flight at its start, then waits", () => {
    const { port, take } = make({ startNs: 50 });
    expect(port.nextArrivalNs()).toBe(50);
    expect(take(49)).toBeNull();
    expect(take(50)).toEqual({ flow: 0, sequence: 0 });
    expect(take(51)).toEqual({ flow: 1, sequence: 1 });
    expect(take(52)).toBeNull();
    expect(port.inFlight).toBe(2);
  });

  it("sends the next request of a client the think time after its answer, and measures the response times", () => {
    const { port, take, answer, samples } = make();
    const first = take(0);
    const second = take(10);
    answer(second, 500);
    expect(port.nextArrivalNs()).toBe(600);
    answer(first, 520);
    expect(port.nextArrivalNs()).toBe(600);
    expect(take(599)).toBeNull();
    expect(take(605)).toEqual({ flow: 1, sequence: 2 });
    expect(port.lastScheduledNs).toBe(600);
    expect(port.nextArrivalNs()).toBe(620);
    expect(take(620)).toEqual({ flow: 0, sequence: 3 });
    expect(samples()).toEqual([490, 520]);
    expect(port).toMatchObject({ answered: 2, lost: 0, unexpected: 0, inFlight: 2, taken: 4 });
  });

  it("takes a request for lost after a second, and replaces it at that moment", () => {
    const { port, take, answer } = make();
    const first = take(0);
    take(10);
    expect(port.nextArrivalNs()).toBe(1e9);
    expect(port.nextTimeoutNs()).toBe(1e9);
    expect(take(1e9 - 1)).toBeNull();
    expect(take(1e9)).toEqual({ flow: 0, sequence: 2 });
    expect(port.lastScheduledNs).toBe(1e9);
    expect(port.nextArrivalNs()).toBe(1e9 + 10);
    expect(port).toMatchObject({ lost: 1, inFlight: 2 });
    expect(port.notes).toEqual(["1 request not answered within 1.00 s"]);
    answer(first, 1e9 + 1);
    expect(port).toMatchObject({ answered: 0, unexpected: 1, inFlight: 2 });
  });

  it("takes an answer that comes after its second for none, though nothing was taken meanwhile", () => {
    const { port, take, answer } = make();
    answer(take(0), 1e9);
    expect(port).toMatchObject({ answered: 0, lost: 1, unexpected: 1 });
  });

  it("sends in the order in which requests were due, replaced ones and others alike, however late they are taken", () => {
    const { port, take, answer } = make();
    take(0);
    answer(take(10), 1e9 - 500); // thinks until 1e9 - 400
    expect(take(1e9 + 700)).toEqual({ flow: 1, sequence: 2 });
    expect(port.lastScheduledNs).toBe(1e9 - 400);
    expect(take(1e9 + 700)).toEqual({ flow: 0, sequence: 3 });
    expect(port.lastScheduledNs).toBe(1e9);
  });

  it("does not count an answer twice, nor one to a client that is not there, nor a corrupted one", () => {
    const { port, take, answer, sink } = make();
    const request = take(0)!;
    answer({ ...request, sequence: 5 }, 1);
    answer({ ...request, flow: 2 }, 1);
    answer({ ...request, flow: 0xffff }, 1);
    answer({ ...request, flow: 1 }, 1); // which has sent nothing yet
    expect(port).toMatchObject({ answered: 0, unexpected: 4 });
    answer(request, 2);
    answer(request, 3);
    expect(port).toMatchObject({ answered: 1, unexpected: 5 });
    const torn = new Frame(new Uint8Array(60));
    torn.bytes.set([0x88, 0xb5], 12);
    torn.lengthBytes = 60;
    torn.bytes[59] = 1;
    port.transmit(torn, 4);
    expect(sink.corrupted).toBe(1);
    expect(port).toMatchObject({ answered: 1, unexpected: 5 });
  });

  it("ends after its count; what is in flight then may still be answered or lost", () => {
    const { port, take, answer } = make({ count: 3, thinkNs: 0 });
    const first = take(0);
    take(0);
    answer(first, 5);
    expect(take(5)).toEqual({ flow: 0, sequence: 2 });
    expect(port.nextArrivalNs()).toBe(NEVER);
    expect(take(2e9)).toBeNull();
    expect(port).toMatchObject({ taken: 3, answered: 1, lost: 2, inFlight: 0 });
    expect(port.nextTimeoutNs()).toBe(NEVER);
  });

  it("sends nothing at or after its duration", () => {
    const { port, take, answer } = make({ durationNs: 600, startNs: 1000 });
    answer(take(1000), 1499);
    answer(take(1000), 1500);
    expect(take(1599)).not.toBeNull();
    expect(port.nextArrivalNs()).toBe(NEVER);
    expect(take(1600)).toBeNull();
  });

  it("gives nothing before it begins, if its start is left open", () => {
    const { port, take } = make({ startNs: NEVER, durationNs: 50 });
    expect(port.nextArrivalNs()).toBe(NEVER);
    expect(take(1e15)).toBeNull();
    port.begin(1000);
    expect(port.nextArrivalNs()).toBe(1000);
    expect(take(1000)).toEqual({ flow: 0, sequence: 0 });
    expect(take(1000)).toEqual({ flow: 1, sequence: 1 });
    expect(take(1000)).toBeNull();
  });

  it("keeps no more in flight than it should, loses none, and says exactly when the next is due", () => {
    const steps = fc.array(fc.tuple(fc.nat({ max: 300_000_000 }), fc.nat({ max: 9 })), { maxLength: 60 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.nat({ max: 200_000_000 }),
        steps,
        (outstanding, thinkNs, moves) => {
          const { port, take, answer } = make({ outstanding, thinkNs });
          const open: { flow: number; sequence: number }[] = [];
          let nowNs = 0;
          for (const [stepNs, what] of moves) {
            // Never past a due request without looking, as a card would not.
            nowNs = Math.min(nowNs + stepNs, Math.max(nowNs, port.nextArrivalNs()));
            const due = port.nextArrivalNs() <= nowNs;
            if (what < 5 && open.length > 0) {
              answer(open.splice(what % open.length, 1)[0]!, nowNs);
            } else {
              const request = take(nowNs);
              expect(request !== null).toBe(due);
              if (request !== null) open.push(request);
            }
            expect(port.inFlight).toBeLessThanOrEqual(outstanding);
            expect(port.taken).toBe(port.answered + port.lost + port.inFlight);
          }
        },
      ),
    );
  });

  it("refuses a number of clients that flows cannot tell apart, and requests that do not fit", () => {
    expect(() => make({ outstanding: 0 })).toThrow("outstanding: got 0, allowed are 1 to 65536");
    expect(() => make({ outstanding: 65_537 })).toThrow(RangeError);
    expect(() => make({ lengthBytes: 201 })).toThrow("lengthBytes: got 201, allowed are at most the slot's 200");
  });
});
