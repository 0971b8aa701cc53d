/** What a broken driver does to its ring. */

import type { DeviceUnderTest } from "./device-under-test.ts";
import { DESC_NEXT } from "./numbers.ts";
import type { TestQueue } from "./test-queue.ts";

/** Makes the ring unreadable: an available index that is too far ahead, or a chain that never ends. */
export function breakRing(dut: DeviceUnderTest, queue: TestQueue): void {
  const { ring } = queue;
  if (ring.kind === "split") {
    ring.availIdx = (ring.availIdx + ring.size + 1) & 0xffff;
    ring.publish();
    return;
  }
  const address = dut.ram.zeroed(64);
  // All descriptors available, and each says that another one follows (§2.8.6).
  for (let slot = 0; slot < ring.size; slot++) {
    dut.ram.putDescriptor(ring.desc + 16 * slot, address, 64, 0, DESC_NEXT | (1 << 7));
  }
}
