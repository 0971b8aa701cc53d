/** Device status and initialisation: virtio 1.4 §2.1, §3.1. */

import { expect } from "vitest";
import { breakRing } from "./harness/break-ring.ts";
import { conformance } from "./harness/conformance.ts";
import { patterned } from "./harness/frames.ts";
import {
  ACKNOWLEDGE,
  CONFIG_CHANGE,
  DEVICE_NEEDS_RESET,
  DRIVER,
  DRIVER_OK,
  FEATURES_OK,
  RUNNING,
} from "./harness/numbers.ts";

conformance(
  "Before DRIVER_OK no buffer is used and nothing is notified, whatever is available",
  ["STATUS-1"],
  (dut) => {
    dut.negotiate();
    dut.setUpQueues();
    dut.offerBuffer();
    const out = dut.tx.add([{ address: dut.ram.zeroed(72), length: 72 }]);
    dut.tx.kick();
    dut.receive(patterned(60));
    expect(dut.rx.collectUsed()).toEqual([]);
    expect(dut.tx.collectUsed()).toEqual([]);
    expect(dut.interrupts()).toEqual([]);
    expect(dut.sent()).toEqual([]);
    dut.driverOk();
    dut.poll();
    expect(dut.tx.collectUsed()).toEqual([out]);
    expect(dut.sent()).toHaveLength(1);
  },
);

conformance("A ring that cannot be read any further makes the device ask for a reset", ["STATUS-2"], (dut) => {
  dut.bringUp();
  breakRing(dut, dut.tx);
  dut.tx.kick();
  dut.poll();
  expect(dut.status).toBe(RUNNING | DEVICE_NEEDS_RESET);
});

conformance("The request for a reset is followed by a configuration change notification", ["STATUS-3"], (dut) => {
  dut.bringUp();
  breakRing(dut, dut.tx);
  dut.tx.kick();
  dut.poll();
  expect(dut.status & DEVICE_NEEDS_RESET).toBe(DEVICE_NEEDS_RESET);
  expect(dut.interrupts()).toHaveLength(1);
  expect(dut.transport.takeInterruptStatus() & CONFIG_CHANGE).toBe(CONFIG_CHANGE);
});

conformance("The status reads what the driver has written, step by step", ["RESET-1"], (dut) => {
  expect(dut.status).toBe(0);
  let expected = 0;
  for (const bit of [ACKNOWLEDGE, DRIVER]) {
    expected |= bit;
    dut.status = expected;
    expect(dut.status).toBe(expected);
  }
  dut.accept(dut.withRing([]));
  for (const bit of [FEATURES_OK, DRIVER_OK]) {
    expected |= bit;
    dut.status = expected;
    expect(dut.status).toBe(expected);
  }
  dut.status = 0;
  expect(dut.status).toBe(0);
});

for (const [name, status] of [
  ["ACKNOWLEDGE", ACKNOWLEDGE],
  ["DRIVER", ACKNOWLEDGE | DRIVER],
  ["FEATURES_OK", ACKNOWLEDGE | DRIVER | FEATURES_OK],
  ["DRIVER_OK", RUNNING],
] as const) {
  conformance(`A reset after ${name} brings the status back to 0`, ["RESET-1"], (dut) => {
    dut.bringUp();
    dut.status = 0;
    dut.status = status & (ACKNOWLEDGE | DRIVER);
    dut.accept(dut.withRing([]));
    dut.status = status;
    expect(dut.status).toBe(status);
    dut.status = 0;
    expect(dut.status).toBe(0);
  });
}

conformance("A device that has asked for a reset reads 0 after it and works again", ["RESET-1"], (dut) => {
  dut.bringUp();
  breakRing(dut, dut.tx);
  dut.tx.kick();
  dut.poll();
  dut.status = 0;
  expect(dut.status).toBe(0);
  dut.bringUp();
  dut.send(patterned(60));
  expect(dut.sent()).toHaveLength(1);
});

conformance("After a reset the device touches no queue and sends no notification", ["RESET-2"], (dut) => {
  dut.bringUp();
  dut.offerBuffer();
  dut.offerBuffer();
  dut.receive(patterned(60));
  dut.tx.add([{ address: dut.ram.zeroed(72), length: 72 }]);
  dut.status = 0;
  dut.interrupts();
  const before = dut.ram.snapshot();
  dut.tx.kick();
  dut.receive(patterned(60));
  dut.setLinkUp(false);
  dut.advance(1e9);
  dut.poll();
  expect(dut.ram.changedSince(before)).toEqual([]);
  expect(dut.interrupts()).toEqual([]);
  expect(dut.sent()).toEqual([]);
});

conformance("A notification that was due is not sent once the device is reset", ["RESET-2"], (dut) => {
  dut.bringUp({ features: ["MAC", "CTRL_VQ", "NOTF_COAL"] });
  // Receive and transmit notifications after 10 packets or 1 s (§5.1.9.5.10).
  for (const command of [0, 1]) {
    expect(dut.command(6, command, [10, 0, 0, 0, 0x40, 0x42, 0x0f, 0])).toEqual(Uint8Array.of(0));
  }
  dut.interrupts();
  dut.offerBuffer();
  dut.receive(patterned(60));
  dut.send(patterned(60));
  expect(dut.interrupts()).toEqual([]);
  dut.status = 0;
  dut.advance(2e9);
  dut.poll();
  expect(dut.interrupts()).toEqual([]);
  expect(dut.transport.takeInterruptStatus()).toBe(0);
});

conformance("A reset in the middle of traffic leaves nothing behind for the next life", ["RESET-2"], (dut) => {
  for (let life = 0; life < 3; life++) {
    dut.bringUp({ size: 8 });
    for (let i = 0; i < 5; i++) dut.offerBuffer(256);
    dut.inject(patterned(60), patterned(61), patterned(62));
    dut.poll(1);
    expect(dut.rx.collectUsed().map(({ usedLength }) => usedLength)).toEqual([72]);
    dut.status = 0;
    dut.interrupts();
    dut.poll();
    expect(dut.interrupts()).toEqual([]);
  }
});
