import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ApplicationOptions, makeApplication } from "../../../src/guest/applications/make-application.ts";
import type { DriverOptions } from "../../../src/guest/driver-options.ts";
import { STEP_DRAINED, STEP_IDLE, STEP_POLLED, STEP_SENT, Vcpu } from "../../../src/guest/vcpu.ts";
import { ALL_FEATURES, FEATURE } from "./fake-device.ts";
import { makeLiveMachine } from "./machine.ts";
import { referenceCheck, stampedFrame } from "./reference-stamp.ts";

const ACTIVE = (7 << 2) | 1;

function makeGuest(
  application: Partial<ApplicationOptions>,
  driver: Partial<DriverOptions> = {},
  features = ALL_FEATURES,
) {
  const machine = makeLiveMachine(driver, features);
  const vcpu = new Vcpu(machine.driver, makeApplication(application, machine.driver));
  return { ...machine, vcpu };
}

const request = (sequence: number, lengthBytes = 100, arrivalNs = 0): Uint8Array =>
  stampedFrame({ lengthBytes, flow: 3, sequence, arrivalNs, state: ACTIVE });

describe("a vCPU's step", () => {
  it("is idle without an interrupt, polls after one, and says when the ring is drained", () => {
    const { device, vcpu } = makeGuest({ kind: "sink" });
    expect(vcpu.step(64, 0, ACTIVE)).toBe(STEP_IDLE);
    device.deliver(request(0), request(1), request(2));
    expect(vcpu.step(64, 0, ACTIVE)).toBe(STEP_IDLE);
    vcpu.takeInterrupt(1);
    expect(vcpu.step(2, 100, ACTIVE)).toBe(STEP_POLLED);
    expect(vcpu.polledFrames).toBe(2);
    expect(vcpu.step(2, 200, ACTIVE)).toBe(STEP_DRAINED);
    expect(vcpu.polledFrames).toBe(1);
    expect(vcpu.step(2, 300, ACTIVE)).toBe(STEP_IDLE);
    expect([...vcpu.application.intake.log.toTransfer().latencyNs]).toEqual([100, 100, 200]);
  });

  it("drains at once when the interrupt was for nothing", () => {
    const { vcpu } = makeGuest({ kind: "sink" });
    vcpu.takeInterrupt(1);
    expect(vcpu.step(64, 0, ACTIVE)).toBe(STEP_DRAINED);
    expect(vcpu.polledFrames).toBe(0);
  });

  it("leaves no vCPU between steps with notifications off and nothing to read, and no frame for ever unread", () => {
    const action = fc.oneof(
      fc.record({ deliver: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ step: fc.integer({ min: 1, max: 4 }) }),
      fc.constant("take" as const),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), fc.constantFrom(true, false), (actions, eventIdx) => {
        const features = eventIdx ? ALL_FEATURES : ALL_FEATURES & ~FEATURE.eventIdx;
        const { device, driver, vcpu } = makeGuest({ kind: "sink" }, { ring: 8, refillBatch: 3 }, features);
        let sequence = 0;
        let pending = false;
        const step = (budget: number) => {
          if (pending) vcpu.takeInterrupt(1);
          pending = false;
          const result = vcpu.step(budget, 0, ACTIVE);
          expect(driver.polling).toBe(result === STEP_POLLED);
          if (driver.polling) expect(driver.hasUnread()).toBe(true);
          return result;
        };
        for (const act of actions) {
          if (act === "take") step(1);
          else if ("step" in act) step(act.step);
          else {
            const before = device.receive.usedIdx;
            for (let i = 0; i < act.deliver; i++) if (device.stageFrame(request(sequence))) sequence++;
            if (device.publishReceive(before)) pending = true;
          }
        }
        // Left alone, the guest reads all that was delivered, by nothing but the interrupts it asked for.
        for (let i = 0; i < 20; i++) step(64);
        expect(driver.received).toBe(sequence);
        const { lost, corrupted, duplicated, reordered } = vcpu.application.intake.check;
        expect([lost, corrupted, duplicated, reordered]).toEqual([0, 0, 0, 0]);
        expect(driver.freeToCard).toBe(8);
      }),
    );
  });
});

describe("the applications", () => {
  const sentFrames = (device: { sent: Uint8Array[] }) => device.sent.map((packet) => packet.slice(12));

  it("echo sends each frame back unchanged, also one in several buffers or with a broken stamp", () => {
    const { device, vcpu } = makeGuest({ kind: "echo" }, { mergeableBufferBytes: 128, ring: 32 });
    const broken = request(2);
    broken[50]! ^= 1;
    const frames = [request(0), request(1, 1000), broken];
    device.deliver(...frames);
    vcpu.takeInterrupt(1);
    expect(vcpu.step(64, 0, ACTIVE)).toBe(STEP_DRAINED);
    expect(vcpu.sentFrames).toBe(3);
    device.sendFrames();
    expect(sentFrames(device)).toEqual(frames);
    expect(vcpu.application.intake.check.corrupted).toBe(1);
  });

  it("echo counts what it cannot send back", () => {
    const { device, vcpu } = makeGuest({ kind: "echo" }, { ring: 4 });
    for (let i = 0; i < 6; i++) {
      device.deliver(request(i));
      vcpu.takeInterrupt(1);
      vcpu.step(64, 0, ACTIVE);
    }
    expect(vcpu.application.unsent).toBe(2);
    expect(device.transmit.waiting).toBe(4);
  });

  it("request-response answers with a valid stamp of the request's flow and sequence", () => {
    const { device, vcpu } = makeGuest({ kind: "request-response", sendBytes: 333, peerMac: [2, 0, 0, 0, 0, 9] });
    device.deliver(request(0), request(1));
    vcpu.takeInterrupt(1);
    vcpu.step(64, 5_000_000_000, ACTIVE);
    device.sendFrames();
    sentFrames(device).forEach((frame, i) => {
      const view = new DataView(frame.buffer);
      expect(frame.length).toBe(333);
      expect([...frame.subarray(0, 12)]).toEqual([2, 0, 0, 0, 0, 9, 0x52, 0x54, 0, 0x12, 0x34, 0x56]);
      expect([view.getUint16(14, true), view.getUint32(16, true)]).toEqual([3, i]);
      expect(view.getUint32(24, true) + view.getUint32(28, true) * 2 ** 32).toBe(5_000_000_000);
      expect(view.getUint32(20, true)).toBe(referenceCheck(frame));
    });
    expect(device.sent.length).toBe(2);
  });

  it("bulk sends so many frames and is done, through a ring that is much smaller", () => {
    const { device, vcpu } = makeGuest({ kind: "bulk", sendBytes: 64, sendCount: 1000 }, { ring: 16 });
    let idle = 0;
    while (!vcpu.application.done) {
      const result = vcpu.step(64, 0, ACTIVE);
      if (result === STEP_IDLE) {
        idle++;
        expect(vcpu.driver.sendStalled).toBe(true);
        if (device.sendFrames()) vcpu.takeInterrupt(1);
      } else {
        expect([STEP_SENT, STEP_DRAINED, STEP_POLLED]).toContain(result);
      }
    }
    device.sendFrames();
    expect(idle).toBeGreaterThan(10);
    const frames = sentFrames(device);
    expect(frames.map((frame) => new DataView(frame.buffer).getUint32(16, true))).toEqual(
      Array.from({ length: 1000 }, (_, i) => i),
    );
    expect(frames.every((frame) => new DataView(frame.buffer).getUint32(20, true) === referenceCheck(frame))).toBe(
      true,
    );
    expect(vcpu.step(64, 0, ACTIVE)).toBe(STEP_IDLE);
  });

  it("refuses to send frames that the link does not take", () => {
    expect(() => makeGuest({ kind: "bulk", sendBytes: 2000 })).toThrow(/sendBytes is 1 to 1514/);
  });
});
