/** The used ring of the split virtqueue, and kicks: virtio 1.4 §2.7.8, §2.7.10. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import { patterned } from "./harness/frames.ts";
import type { Chain } from "./harness/ring.ts";

const SPLIT = { rings: ["split"] } as const;
const CANARY = 0xa5;

conformance("Length and bytes are there as soon as used.idx shows the entry", ["SUSED-1", "SUSED-2"], SPLIT, (dut) => {
  dut.bringUp({ features: ["MAC"], size: 4 });
  const { split } = dut.rx;
  const addresses = [0, 1, 2, 3].map(() => dut.ram.alloc(2048));
  const offered: Chain[] = [];
  const offer = (): void => {
    const address = addresses[offered.length % 4]!;
    dut.ram.u8.fill(0, address, address + 2048);
    // An entry that is read too early shows this instead of a length.
    dut.ram.view.setUint32(split.device + 8 + 8 * (offered.length % 4), 0xffffffff, true);
    offered.push(dut.rx.add([{ address, length: 2048, write: true }]));
  };
  const frames = 400;
  dut.inject();
  for (let i = 0; i < 4; i++) offer();
  let seen = 0;
  let injected = 0;
  dut.whilePolling(() => {
    if (injected < frames && injected < seen + 4) {
      dut.inject(patterned(60 + (injected % 1000), injected));
      injected++;
    }
    for (const chain of dut.rx.collectUsed()) {
      const length = 60 + (seen % 1000);
      expect(chain.usedLength).toBe(12 + length);
      expect(dut.ram.bytes(chain.buffers[0]!.address + 12, length)).toEqual(patterned(length, seen));
      seen++;
      offer();
    }
    return seen === frames;
  });
});

conformance(
  "`len` counts from the first writable buffer on, and no further than was written",
  ["SUSED-2"],
  SPLIT,
  (dut) => {
    dut.bringUp({ features: ["MAC", "CTRL_VQ", "NOTF_COAL"] });
    const pieces = [12, 30, 30, 1600].map((length) => ({ address: dut.ram.alloc(length), length, write: true }));
    const chain = dut.rx.add(pieces);
    dut.receive(patterned(100));
    expect(dut.rx.collectUsed()).toEqual([chain]);
    expect(chain.usedLength).toBe(112);
    expect(dut.written(chain).slice(12)).toEqual(patterned(100));
    expect(dut.ram.bytes(pieces[3]!.address + 40, 64)).toEqual(new Uint8Array(64).fill(CANARY));
    const command = dut.ctrl.add([
      { address: dut.ram.put([6, 1, 0, 0, 0, 0, 0, 0, 0, 0]), length: 10 },
      { address: dut.ram.alloc(1), length: 1, write: true },
    ]);
    dut.ctrl.kick();
    const sent = dut.send(patterned(60));
    expect(dut.ctrl.collectUsed()).toEqual([command]);
    expect(command.usedLength).toBe(1);
    expect(dut.tx.collectUsed()).toEqual([sent]);
    expect(sent.usedLength).toBe(0);
  },
);

for (const [features, allowed, id] of [
  [["MAC", "CTRL_VQ", "MRG_RXBUF"], [0, 1], "SASUP-1"],
  [["MAC", "CTRL_VQ", "MRG_RXBUF", "RING_EVENT_IDX"], [0], "SASUP-3"],
] as const) {
  const where =
    id === "SASUP-1" ? "Without EVENT_IDX used.flags is only ever 0 or 1" : "With EVENT_IDX used.flags stays 0";
  conformance(`${where}, on every queue and in every state`, [id], SPLIT, (dut) => {
    dut.negotiate(features);
    dut.setUpQueues({ size: 8 });
    const check = (): void => {
      for (const { split } of dut.queues) expect(allowed).toContain(split.usedFlags);
    };
    check();
    dut.driverOk();
    check();
    for (let round = 0; round < 20; round++) {
      if (round % 3 === 0) dut.offerBuffer();
      check();
      dut.receive(patterned(60));
      check();
      dut.send(patterned(60));
      check();
      dut.rx.collectUsed();
      dut.tx.collectUsed();
    }
    dut.setLinkUp(false);
    dut.poll();
    check();
  });
}

conformance("Kicks without a reason do no harm", ["SASUP-5"], (dut) => {
  dut.bringUp();
  for (let round = 0; round < 50; round++) for (const queue of dut.queues) queue.kick();
  dut.poll();
  expect(dut.interrupts()).toEqual([]);
  dut.offerBuffer();
  for (let round = 0; round < 50; round++) dut.rx.kick();
  dut.poll();
  expect(dut.interrupts()).toEqual([]);
  dut.receive(patterned(60));
  expect(dut.rx.collectUsed()).toHaveLength(1);
  dut.send(patterned(61));
  for (let round = 0; round < 50; round++) dut.tx.kick();
  dut.poll();
  expect(dut.sent()).toHaveLength(1);
  expect(dut.tx.collectUsed()).toHaveLength(1);
});

conformance("Kicks before DRIVER_OK, after a reset, and of queues that do not exist do no harm", ["SASUP-5"], (dut) => {
  dut.transport.notify(0);
  dut.negotiate();
  dut.transport.notify(1);
  dut.setUpQueues();
  dut.transport.notify(2);
  dut.poll();
  dut.status = 0;
  dut.transport.notify(0);
  dut.poll();
  dut.bringUp();
  dut.transport.notify(3);
  dut.transport.notify(0xffff);
  dut.poll();
  dut.send(patterned(60));
  expect(dut.sent()).toHaveLength(1);
  expect(dut.status).toBe(15);
});
