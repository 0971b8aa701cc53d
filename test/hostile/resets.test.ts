import { describe, expect, test } from "vitest";
import { BUFFERS, CardMachine, frameOf, PLAIN_FEATURES, REG, RX, SUSPEND, TX } from "../rings/card-machine.ts";
import { withinBounds, worksAfterReset } from "./survival.ts";

const LATENCY_NS = 1_000_000;
const FEATURES = [...PLAIN_FEATURES, "RING_RESET"] as const;

/** A card with frames in its rings and a notification that waits for its interval. */
function busyMachine(): CardMachine {
  const machine = new CardMachine().bringUp(FEATURES);
  machine.card.throttle.vectors[0]!.latencyNs = LATENCY_NS;
  machine.offerReceiveBuffers([2048, 2048, 2048]);
  machine.receive(frameOf(60));
  machine.rx.usedEvent = 1;
  machine.receive(frameOf(60));
  expect(machine.notified).toHaveLength(1);
  expect(machine.card.nextDeadlineNs()).toBe(machine.nowNs + LATENCY_NS);
  return machine;
}

/** Four frames wait for a kick; all are the same buffer. */
function offerFrames(machine: CardMachine): void {
  machine.ram.fill(0, BUFFERS, BUFFERS + 12);
  for (let i = 0; i < 4; i++) {
    machine.tx.setDescriptor(i, { address: BUFFERS, length: 72 });
    machine.tx.offer(i);
  }
  machine.tx.publish();
}

const ENDINGS: [string, (machine: CardMachine) => void][] = [
  ["a device reset", (machine) => machine.write(REG.STATUS, 0)],
  [
    "disabling the queue",
    (machine) => {
      machine.write(REG.QUEUE_SEL, RX);
      machine.write(REG.QUEUE_READY, 0);
    },
  ],
  [
    "a queue reset",
    (machine) => {
      machine.write(REG.QUEUE_SEL, RX);
      machine.write(REG.QUEUE_RESET, 1);
    },
  ],
];

describe.each(ENDINGS)("case 23: %s with work in flight", (_, end) => {
  test("no interrupt of the old life arrives (R10, VQRST-1)", () => {
    const machine = busyMachine();
    end(machine);
    machine.nowNs += 10 * LATENCY_NS;
    machine.poll();
    expect(machine.notified).toHaveLength(1);
    worksAfterReset(machine);
  });

  test("from inside the interrupt: the poll that notified touches the queue no more", () => {
    const machine = new CardMachine().bringUp(FEATURES);
    machine.card.throttle.vectors[0]!.freeMin = 8;
    machine.offerReceiveBuffers([2048, 2048, 2048, 2048]);
    let atEnd = machine.ram;
    machine.onNotify = () => {
      machine.onNotify = null;
      end(machine);
      atEnd = machine.ram.slice();
    };
    for (let i = 0; i < 4; i++) machine.port.arrivals.push({ bytes: frameOf(60) });
    machine.poll();
    expect(machine.rx.takeUsed()).toHaveLength(1);
    expect(machine.changedSince(atEnd)).toEqual([]);
    expect(machine.card.statistics.queues[RX]).toMatchObject({ frames: 1, dropped: 3 });
    worksAfterReset(machine);
  });

  test.each([
    ["a card that is observed", true],
    ["one that takes buffers ahead", false],
  ])("from inside the port, in the middle of a batch of %s: the batch is forgotten", (_card, observed) => {
    const machine = new CardMachine({ observed }).bringUp(FEATURES);
    machine.offerReceiveBuffers([2048, 2048, 2048, 2048]);
    let frames = 0;
    let atEnd = machine.ram;
    machine.port.onReceive = () => {
      frames++;
      if (frames !== 3) return;
      end(machine);
      atEnd = machine.ram.slice();
    };
    withinBounds(
      machine,
      [
        [BUFFERS, BUFFERS + 72],
        [BUFFERS + 0x1000, BUFFERS + 0x1048],
      ],
      () => {
        for (let i = 0; i < 4; i++) machine.port.arrivals.push({ bytes: frameOf(60) });
        machine.poll();
      },
    );
    expect(machine.changedSince(atEnd)).toEqual([]);
    expect(machine.notified).toEqual([]);
    worksAfterReset(machine);
  });

  test("from inside a transmit: what remains is not sent", () => {
    const machine = new CardMachine().bringUp(FEATURES);
    offerFrames(machine);
    let atEnd = machine.ram;
    machine.port.onTransmit = () => {
      machine.write(REG.QUEUE_SEL, TX);
      machine.write(REG.QUEUE_READY, 0);
      end(machine);
      atEnd = machine.ram.slice();
    };
    machine.kick(TX);
    machine.poll();
    expect(machine.port.sent).toHaveLength(1);
    expect(machine.changedSince(atEnd)).toEqual([]);
    worksAfterReset(machine);
  });
});

test("case 23: a reset and a whole new life from inside a transmit leave the new life alone", () => {
  const machine = new CardMachine().bringUp();
  offerFrames(machine);
  machine.port.onTransmit = () => {
    machine.port.onTransmit = null;
    machine.bringUp();
  };
  machine.kick(TX);
  machine.poll();
  expect(machine.tx.usedIdx).toBe(0);
  machine.send(frameOf(60));
  expect(machine.tx.takeUsed()).toEqual([{ head: 0, length: 0 }]);
  worksAfterReset(machine);
});

test("case 23: a new life that filters, from inside the port, has no frame in its ring that it does not want", () => {
  const machine = new CardMachine({ observed: false }).bringUp();
  const lengths = Array.from({ length: 8 }, () => 2048);
  const foreign = frameOf(60);
  foreign[5] = 99;
  machine.offerReceiveBuffers(lengths);
  // The next batch will be like this one, so the card takes buffers ahead for it.
  expect(machine.receive(foreign, foreign, foreign, foreign)).toHaveLength(4);
  let frames = 0;
  machine.port.onReceive = () => {
    frames++;
    if (frames !== 2) return;
    machine.bringUp([...PLAIN_FEATURES, "CTRL_VQ", "CTRL_RX"]);
    machine.offerReceiveBuffers(lengths);
  };
  const wanted = frameOf(60);
  const used = machine.receive(foreign, wanted, wanted, foreign, foreign, wanted);
  expect(used).toHaveLength(3);
  expect(machine.card.statistics.filtered).toBe(2);
});

test("case 23: SUSPEND from inside a transmit publishes what was used, and sends no more before resume", () => {
  const machine = new CardMachine().bringUp();
  offerFrames(machine);
  machine.port.onTransmit = () => {
    machine.port.onTransmit = null;
    machine.write(REG.STATUS, machine.status | SUSPEND);
  };
  machine.kick(TX);
  machine.poll();
  expect(machine.port.sent).toHaveLength(1);
  expect(machine.tx.takeUsed()).toEqual([{ head: 0, length: 0 }]);
  machine.write(REG.STATUS, machine.status | 4);
  machine.poll();
  expect(machine.tx.takeUsed().map(({ head }) => head)).toEqual([1, 2, 3]);
  worksAfterReset(machine);
});

test("case 23: SUSPEND, resume and reset from inside the notification that SUSPEND flushes", () => {
  for (const last of ["resume", "reset"]) {
    const machine = busyMachine();
    machine.onNotify = () => {
      machine.onNotify = null;
      machine.write(REG.STATUS, last === "reset" ? 0 : machine.status | 4);
    };
    machine.write(REG.STATUS, machine.status | SUSPEND);
    expect(machine.status).toBe(last === "reset" ? 0 : 15);
    if (last === "resume") {
      machine.rx.usedEvent = 2;
      machine.nowNs += 10 * LATENCY_NS;
      expect(machine.receive(frameOf(60)).at(-1)).toEqual({ head: 2, length: 72 });
      expect(machine.notified).toHaveLength(3);
    }
    worksAfterReset(machine);
  }
});

test("case 23: a control command whose interrupt resets the card", () => {
  const machine = new CardMachine().bringUp();
  machine.ram.set([6, 1, 0, 0, 0, 0, 0, 0, 0, 0], BUFFERS);
  machine.ctrl.offerChain(0, [
    { address: BUFFERS, length: 10 },
    { address: BUFFERS + 0x100, length: 1, flags: 2 },
  ]);
  machine.ctrl.publish();
  let atEnd = machine.ram;
  machine.card.throttle.setCoalescing = () => {
    machine.write(REG.STATUS, 0);
    atEnd = machine.ram.slice();
  };
  machine.kick(2);
  machine.poll();
  expect(machine.changedSince(atEnd)).toEqual([]);
  expect(machine.status).toBe(0);
  expect(machine.ctrl.usedIdx).toBe(0);
  machine.card.throttle.setCoalescing = () => {};
  worksAfterReset(machine);
});
