import { describe, expect, test } from "vitest";
import { FAULTS } from "../../src/device/index.ts";
import { frameOf, REG } from "../rings/card-machine.ts";
import { CONTROL_FEATURES, ControlMachine, ERR, OK, PAIRS, u16 } from "../rings/control-machine.ts";
import { packet, TCP } from "../rings/packets.ts";
import { SplitDriver, WRITE } from "../rings/split-driver.ts";
import { withinBounds } from "./survival.ts";

const BUFFER_AT = 0x40000;
const WITHOUT_MQ = CONTROL_FEATURES.filter((name) => name !== "MQ" && name !== "RSS");

/** Frames of twenty flows, which would spread over whatever pairs there are. */
const FLOWS = Array.from({ length: 20 }, (_, port) =>
  packet(TCP, { address: "198.51.100.7", port: 443 }, { address: "192.0.2.1", port }),
);

/** Lays a ring with a receive buffer and writes all registers that would enable it as queue `index`. */
function forceQueue(machine: ControlMachine, index: number, at: number): SplitDriver {
  const ring = new SplitDriver(machine.ram.buffer, at, 16);
  machine.ram.fill(0, at, ring.end);
  for (const [register, value] of [
    [REG.QUEUE_SEL, index],
    [REG.QUEUE_SIZE, 16],
    [REG.QUEUE_DESC_LOW, ring.table],
    [REG.QUEUE_DRIVER_LOW, ring.avail],
    [REG.QUEUE_DEVICE_LOW, ring.used],
    [REG.QUEUE_READY, 1],
  ] as const) {
    machine.write(register, value);
  }
  ring.setDescriptor(0, { address: BUFFER_AT + 0x1000 * index, length: 2048, flags: WRITE });
  ring.offer(0);
  ring.publish();
  return ring;
}

describe("case 19: pairs of queues that were not agreed on", () => {
  test.each([0, PAIRS + 1, 0x8000, 0xffff])("%i pairs are refused, and the first one goes on", (pairs) => {
    const machine = new ControlMachine();
    const before = machine.settings;
    expect(machine.command([4, 0, ...u16(pairs)]).ack).toBe(ERR);
    expect(machine.settings).toEqual(before);
    expect(machine.arrive(frameOf(60))).toEqual([0]);
  });

  test("without MQ their queues do not exist: neither registers nor kicks nor frames reach them", () => {
    const machine = new ControlMachine(WITHOUT_MQ);
    const rings = [3, 4, 5, 6].map((index) => forceQueue(machine, index, 0x20000 + 0x1000 * index));
    withinBounds(machine, [], () => {
      for (const index of [3, 4, 5, 6]) machine.kick(index);
      machine.poll();
    });
    for (const frame of FLOWS) expect(machine.arrive(frame)).toEqual([0]);
    expect(rings.map((ring) => ring.usedIdx)).toEqual([0, 0, 0, 0]);
    expect(new Set(machine.faults.map(({ code }) => FAULTS[code]!.name))).toEqual(new Set(["queue-index"]));
    machine.start(WITHOUT_MQ);
    expect(machine.arrive(frameOf(60))).toEqual([0]);
  });

  test("with MQ a pair that is ready but not asked for gets no frame, and what it sends goes out all the same", () => {
    const machine = new ControlMachine();
    const sent = machine.queues[3]!;
    machine.ram.fill(0, BUFFER_AT + 0x8000, BUFFER_AT + 0x8100);
    sent.setDescriptor(0, { address: BUFFER_AT + 0x8000, length: 100 });
    sent.offer(0);
    sent.publish();
    withinBounds(machine, [], () => {
      machine.kick(3);
      machine.poll();
    });
    expect(sent.takeUsed()).toEqual([{ head: 0, length: 0 }]);
    for (const frame of FLOWS) expect(machine.arrive(frame)).toEqual([0]);
    expect(machine.command([4, 0, ...u16(PAIRS)]).ack).toBe(OK);
  });
});
