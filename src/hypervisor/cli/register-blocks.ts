import { THROTTLE_STRIDE } from "../../device/spec/throttle-registers.ts";
import { THROTTLE_REGISTERS } from "../../device/throttle/host-window.ts";
import { MMIO_REGISTERS } from "../../device/transport/mmio.ts";
import { PCI_COMMON_REGISTERS } from "../../device/transport/pci-common-registers.ts";
import type { RegisterDefinition } from "../../device/transport/register-table.ts";

/** What the documentation needs of a register; what reads and writes it is left out, and the device's type with it. */
export type RegisterRow = Omit<RegisterDefinition<never>, "read" | "write">;

export interface RegisterBlock {
  readonly title: string;
  readonly registers: readonly RegisterRow[];
}

/** Every register of the card, block by block. */
export const REGISTER_BLOCKS: readonly RegisterBlock[] = [
  { title: "Virtio over MMIO: what the guest sees", registers: MMIO_REGISTERS },
  { title: "Virtio over PCI, common configuration: what the guest sees", registers: PCI_COMMON_REGISTERS },
  {
    title: `Host window: the throttle of interrupt vector n, at n × 0x${THROTTLE_STRIDE.toString(16)}`,
    registers: THROTTLE_REGISTERS,
  },
];
