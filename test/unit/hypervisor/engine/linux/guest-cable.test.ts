import { expect, test } from "vitest";
import { Frame } from "../../../../../src/device/link/frame-port.ts";
import { GuestCable } from "../../../../../src/hypervisor/engine/linux/guest-cable.ts";
import { DROP_REASONS, EV_ARRIVE, EV_DROP } from "../../../../../src/hypervisor/events/event.ts";
import { createFrameRings, RingPort } from "../../../../../src/hypervisor/network/ring-port.ts";
import { drain, frameBetween, stationMac } from "../../network/frames.ts";

function setUp() {
  const rings = createFrameRings(4096, 1514);
  const words = new Int32Array(new SharedArrayBuffer(8));
  const wire = new RingPort({ rings, end: "wire", doorbell: { words, index: 0 } });
  const card = new RingPort({ rings, end: "card", doorbell: { words, index: 1 } });
  const events: number[][] = [];
  const log = {
    record: (tNs: number, kind: number, guest: number, a: number, _b: number, c: number) => {
      events.push([tNs, kind, guest, a, c]);
    },
  };
  return { cable: new GuestCable(wire, () => 777, log, 2), card, events };
}

test("frames for a guest are named in the order in which they go to it, and keep their names for others", () => {
  const { cable, card } = setUp();
  const frame = frameBetween(stationMac(1), stationMac(2), 41);
  cable.transmit(frame, 5);
  cable.transmit(frame, 6);
  expect(frame.id).toBe(41);
  expect(drain(card).map(({ id }) => id)).toEqual([0, 1]);
});

test("a frame that finds no room on its way arrives and is dropped, and says so", () => {
  const { cable, card, events } = setUp();
  const frame = frameBetween(stationMac(1), stationMac(2), 0, 1500);
  expect([cable.transmit(frame, 5), cable.transmit(frame, 5), cable.transmit(frame, 5)]).toEqual([true, true, false]);
  expect(cable.dropped).toBe(1);
  expect(events).toEqual([
    [777, EV_ARRIVE, 2, 2, 1500],
    [777, EV_DROP, 2, 2, DROP_REASONS.indexOf("queue-full")],
  ]);
  expect(drain(card).map(({ id }) => id)).toEqual([0, 1]);
});

test("what comes from the guest is counted", () => {
  const { cable, card } = setUp();
  card.transmit(frameBetween(stationMac(1), stationMac(2), 0, 100), 0);
  const frame = new Frame(new Uint8Array(0));
  expect([cable.receive(frame), cable.receive(frame)]).toEqual([true, false]);
  expect(cable.sink).toMatchObject({ frames: 1, bytes: 100 });
});
