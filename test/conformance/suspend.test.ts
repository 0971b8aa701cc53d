/** Suspending the device: virtio 1.4 §3.4. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import { ACKNOWLEDGE, CONFIG_CHANGE, DRIVER, FEATURES_OK, type Feature, RUNNING, SUSPEND } from "./harness/numbers.ts";

const FEATURES: readonly Feature[] = ["SUSPEND", "MAC", "STATUS", "CTRL_VQ"];
const SUSPENDED = ACKNOWLEDGE | DRIVER | FEATURES_OK | SUSPEND;

function suspended(dut: DeviceUnderTest): DeviceUnderTest {
  dut.bringUp({ features: FEATURES });
  dut.offerBuffer();
  dut.status = RUNNING | SUSPEND;
  expect(dut.status).toBe(SUSPENDED);
  return dut;
}

conformance("SUSPEND is ignored at every step of the initialisation", ["SUSPEND-1"], (dut) => {
  dut.status = SUSPEND;
  expect(dut.status & SUSPEND).toBe(0);
  dut.status = 0;
  dut.status = ACKNOWLEDGE | SUSPEND;
  expect(dut.status).toBe(ACKNOWLEDGE);
  dut.status = ACKNOWLEDGE | DRIVER | SUSPEND;
  expect(dut.status).toBe(ACKNOWLEDGE | DRIVER);
  dut.accept(dut.withRing(FEATURES));
  dut.status = ACKNOWLEDGE | DRIVER | FEATURES_OK | SUSPEND;
  expect(dut.status).toBe(ACKNOWLEDGE | DRIVER | FEATURES_OK);
  dut.setUpQueues();
  dut.driverOk();
  expect(dut.status).toBe(RUNNING);
  dut.send(patterned(60));
  expect(dut.sent()).toHaveLength(1);
});

conformance("A device that runs suspends itself", ["SUSPEND-6"], (dut) => {
  suspended(dut);
});

conformance("While suspended, writes to the configuration space change nothing", ["SUSPEND-2"], (dut) => {
  suspended(dut);
  const fields = (): number[] => Array.from({ length: 24 }, (_, i) => dut.transport.config(i, 1));
  const before = fields();
  for (let i = 0; i < 24; i++) dut.transport.writeConfig(i, 1, 0xee);
  expect(fields()).toEqual(before);
  dut.status = RUNNING;
  expect(fields()).toEqual(before);
});

conformance("While suspended no queue is touched and nothing is notified", ["SUSPEND-3"], (dut) => {
  suspended(dut);
  dut.interrupts();
  dut.tx.add([{ address: dut.ram.zeroed(72), length: 72 }]);
  const before = dut.ram.snapshot();
  dut.tx.kick();
  dut.ctrl.kick();
  dut.receive(patterned(60));
  dut.advance(1e9);
  dut.poll();
  expect(dut.ram.changedSince(before)).toEqual([]);
  expect(dut.interrupts()).toEqual([]);
  expect(dut.sent()).toEqual([]);
});

conformance("A notification that is due later is not sent in the middle of the suspension", ["SUSPEND-3"], (dut) => {
  dut.bringUp({ features: [...FEATURES, "NOTF_COAL"] });
  // Receive notifications after 10 packets or 1 s.
  expect(dut.command(6, 1, [10, 0, 0, 0, 0x40, 0x42, 0x0f, 0])).toEqual(Uint8Array.of(0));
  dut.offerBuffer();
  dut.receive(patterned(60));
  dut.status = RUNNING | SUSPEND;
  expect(dut.status).toBe(SUSPENDED);
  dut.interrupts();
  dut.transport.takeInterruptStatus();
  dut.advance(2e9);
  dut.poll();
  expect(dut.interrupts()).toEqual([]);
  expect(dut.transport.takeInterruptStatus()).toBe(0);
});

conformance(
  "While suspended the configuration space stays as it is, though the link goes down",
  ["SUSPEND-3"],
  (dut) => {
    suspended(dut);
    const before = Array.from({ length: 24 }, (_, i) => dut.transport.config(i, 1));
    const generation = dut.transport.configGeneration;
    dut.setLinkUp(false);
    expect(Array.from({ length: 24 }, (_, i) => dut.transport.config(i, 1))).toEqual(before);
    expect(dut.transport.configGeneration).toBe(generation);
  },
);

conformance(
  "A change of the configuration is notified not while suspended, but on resume",
  ["SUSPEND-4", "SUSPEND-5"],
  (dut) => {
    suspended(dut);
    dut.transport.takeInterruptStatus();
    dut.interrupts();
    dut.setLinkUp(false);
    dut.poll();
    expect(dut.interrupts()).toEqual([]);
    expect(dut.transport.takeInterruptStatus()).toBe(0);
    dut.status = RUNNING;
    dut.poll();
    expect(dut.interrupts()).toHaveLength(1);
    expect(dut.transport.takeInterruptStatus()).toBe(CONFIG_CHANGE);
    expect(dut.transport.config(6, 2) & 1).toBe(0);
  },
);

conformance(
  "A request for gratuitous packets while suspended waits for the resume",
  ["SUSPEND-4", "SUSPEND-5"],
  {
    card: { extra: ["GUEST_ANNOUNCE"] },
  },
  (dut) => {
    dut.bringUp({ features: [...FEATURES, "GUEST_ANNOUNCE"] });
    dut.status = RUNNING | SUSPEND;
    dut.interrupts();
    dut.announce();
    dut.poll();
    expect(dut.interrupts()).toEqual([]);
    expect(dut.transport.config(6, 2)).toBe(1);
    dut.status = RUNNING;
    dut.poll();
    expect(dut.interrupts()).toHaveLength(1);
    expect(dut.transport.config(6, 2)).toBe(3);
  },
);

conformance("A resumed device goes on where it was, with what was made available meanwhile", ["SUSPEND-7"], (dut) => {
  suspended(dut);
  const chain = dut.tx.add([{ address: dut.ram.zeroed(72), length: 72 }]);
  dut.tx.kick();
  dut.poll();
  dut.status = RUNNING;
  expect(dut.status).toBe(RUNNING);
  dut.poll();
  expect(dut.tx.collectUsed()).toEqual([chain]);
  dut.receive(patterned(60));
  expect(dut.rx.collectUsed()).toHaveLength(1);
  for (let round = 0; round < 3; round++) {
    dut.status = RUNNING | SUSPEND;
    expect(dut.status).toBe(SUSPENDED);
    dut.status = RUNNING;
    dut.send(patterned(60));
    expect(dut.tx.collectUsed()).toHaveLength(1);
  }
});

conformance("Notifications that are due are sent before SUSPEND reads 1", ["SUSPEND-8"], (dut) => {
  dut.bringUp({ features: [...FEATURES, "NOTF_COAL"] });
  // Receive notifications after 10 packets or 1 s.
  expect(dut.command(6, 1, [10, 0, 0, 0, 0x40, 0x42, 0x0f, 0])).toEqual(Uint8Array.of(0));
  dut.interrupts();
  const chain = dut.offerBuffer();
  dut.receive(patterned(60));
  expect(dut.interrupts()).toEqual([]);
  dut.status = RUNNING | SUSPEND;
  expect(dut.interrupts()).toHaveLength(1);
  expect(dut.status).toBe(SUSPENDED);
  expect(dut.rx.collectUsed()).toEqual([chain]);
});

conformance("A suspended device can be reset, and works again", ["RESET-1"], (dut) => {
  suspended(dut);
  dut.status = 0;
  expect(dut.status).toBe(0);
  dut.bringUp();
  dut.send(patterned(60));
  expect(dut.sent()).toHaveLength(1);
});
