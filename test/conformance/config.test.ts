/** Device configuration space and its generation: virtio 1.4 §2.5. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { ACKNOWLEDGE, CONFIG, DRIVER } from "./harness/numbers.ts";

const CARD = {
  mac: [0x02, 0x11, 0x22, 0x33, 0x44, 0x55],
  mtu: 4000,
  pairs: 3,
  speedMbps: 0x01020304,
  duplex: "half",
  extra: ["MQ", "RSS", "HASH_REPORT"],
} as const;

function readAll(dut: DeviceUnderTest): Record<string, number[]> {
  const fields = Object.entries(CONFIG).map(([name, [offset, bytes]]) => {
    return [name, Array.from({ length: bytes }, (_, i) => dut.transport.config(offset + i, 1))];
  });
  return Object.fromEntries(fields);
}

function checkFields(dut: DeviceUnderTest): void {
  const fields = readAll(dut);
  expect(fields["mac"]).toEqual([0x02, 0x11, 0x22, 0x33, 0x44, 0x55]);
  expect(fields["status"]).toEqual([1, 0]);
  expect(fields["maxVirtqueuePairs"]).toEqual([3, 0]);
  expect(fields["mtu"]).toEqual([0xa0, 0x0f]);
  expect(fields["speed"]).toEqual([4, 3, 2, 1]);
  expect(fields["duplex"]).toEqual([0]);
  expect(fields["rssMaxKeySize"]![0]).toBeGreaterThanOrEqual(40);
  expect(fields["rssMaxIndirectionTableLength"]).not.toEqual([0, 0]);
  expect(fields["supportedHashTypes"]).not.toEqual([0, 0, 0, 0]);
}

conformance("Every field can be read before FEATURES_OK, from reset on", ["CFG-1"], { card: CARD }, (dut) => {
  checkFields(dut);
  dut.status = ACKNOWLEDGE;
  checkFields(dut);
  dut.status = ACKNOWLEDGE | DRIVER;
  checkFields(dut);
  dut.accept(dut.withRing([]));
  checkFields(dut);
});

conformance("Fields read the same by 8, 16 and 32 bits", ["CFG-1"], { card: CARD }, (dut) => {
  const { transport } = dut;
  expect(transport.config(0, 4)).toBe(0x33221102);
  expect(transport.config(4, 2)).toBe(0x5544);
  expect(transport.config(8, 2)).toBe(3);
  expect(transport.config(8, 4)).toBe(0x0fa00003);
  expect(transport.config(10, 2)).toBe(4000);
  expect(transport.config(12, 4)).toBe(0x01020304);
  expect([transport.config(12, 2), transport.config(14, 2)]).toEqual([0x0304, 0x0102]);
  expect(transport.config(16, 1)).toBe(0);
});
