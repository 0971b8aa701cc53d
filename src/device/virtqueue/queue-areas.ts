/**
 * The three areas of a virtqueue: where the driver has put them, and where that is in the guest's buffer. Refuses areas
 * that are misaligned, outside guest memory, or that overlap where the card writes.
 */

import type { GuestMemory } from "../memory/guest-memory.ts";
import { EVENT_ALIGN, EVENT_BYTES, PACKED_DESC_ALIGN, PACKED_SIZE_MAX, packedAreaBytes } from "../spec/packed-ring.ts";
import {
  AVAIL_ALIGN,
  availAreaBytes,
  DESC_ALIGN,
  descAreaBytes,
  QUEUE_SIZE_MAX,
  USED_ALIGN,
  usedAreaBytes,
} from "../spec/split-ring.ts";

/** What the driver has set up, and the ring features that it has accepted. */
export interface QueueAreas {
  /** Entries. */
  readonly size: number;
  /** Addresses of the descriptor, driver and device areas. */
  readonly descAddress: number;
  readonly driverAddress: number;
  readonly deviceAddress: number;
  readonly indirect: boolean;
  readonly eventIdx: boolean;
}

/** Byte offsets in the buffer. */
export interface AreaOffsets {
  readonly desc: number;
  readonly driver: number;
  readonly device: number;
}

/** Of a split ring; null unless the size is a power of two and the areas are aligned, inside guest memory and apart (§2.7). */
export function locateSplitAreas(memory: GuestMemory, areas: QueueAreas): AreaOffsets | null {
  const { size, descAddress, driverAddress, deviceAddress, eventIdx } = areas;
  if (size < 1 || size > QUEUE_SIZE_MAX || (size & (size - 1)) !== 0) return null;
  if (descAddress % DESC_ALIGN !== 0 || driverAddress % AVAIL_ALIGN !== 0 || deviceAddress % USED_ALIGN !== 0) {
    return null;
  }
  const descBytes = descAreaBytes(size);
  const driverBytes = availAreaBytes(size, eventIdx);
  const deviceBytes = usedAreaBytes(size, eventIdx);
  const desc = memory.translate(descAddress, descBytes, false);
  const driver = memory.translate(driverAddress, driverBytes, false);
  const device = memory.translate(deviceAddress, deviceBytes, true);
  if (desc < 0 || driver < 0 || device < 0) return null;
  // The used ring is ours to write, the other two are not (SDESC-4).
  if (overlap(device, deviceBytes, desc, descBytes) || overlap(device, deviceBytes, driver, driverBytes)) return null;
  return { desc, driver, device };
}

/** Of a packed ring; null unless the size is allowed and the areas are aligned, inside guest memory and apart (§2.8.10.1). */
export function locatePackedAreas(memory: GuestMemory, areas: QueueAreas): AreaOffsets | null {
  const { size, descAddress, driverAddress, deviceAddress } = areas;
  if (!Number.isInteger(size) || size < 1 || size > PACKED_SIZE_MAX) return null;
  if (descAddress % PACKED_DESC_ALIGN !== 0 || driverAddress % EVENT_ALIGN !== 0 || deviceAddress % EVENT_ALIGN !== 0) {
    return null;
  }
  const descBytes = packedAreaBytes(size);
  const desc = memory.translate(descAddress, descBytes, true);
  const driver = memory.translate(driverAddress, EVENT_BYTES, false);
  const device = memory.translate(deviceAddress, EVENT_BYTES, true);
  if (desc < 0 || driver < 0 || device < 0) return null;
  // Ring and device area are ours to write, the driver area is not.
  if (overlap(desc, descBytes, driver, EVENT_BYTES) || overlap(desc, descBytes, device, EVENT_BYTES)) return null;
  return driver === device ? null : { desc, driver, device };
}

function overlap(first: number, firstBytes: number, second: number, secondBytes: number): boolean {
  return first < second + secondBytes && second < first + firstBytes;
}
