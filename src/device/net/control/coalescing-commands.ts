/** Commands of the driver's interrupt coalescing (virtio 1.4 §5.1.9.5.10). */

import { NET_F_NOTF_COAL, NET_F_VQ_NOTF_COAL } from "../../spec/virtio-net.ts";
import {
  CTRL_COAL_BYTES,
  CTRL_COAL_VQ_BYTES,
  CTRL_NOTF_COAL,
  CTRL_NOTF_COAL_RX_SET,
  CTRL_NOTF_COAL_TX_SET,
  CTRL_NOTF_COAL_VQ_GET,
  CTRL_NOTF_COAL_VQ_SET,
} from "../../spec/virtio-net-control.ts";
import { COALESCE_RX, COALESCE_TX, type Coalescing } from "../coalescing.ts";
import type { QueueNumbering } from "../queue-numbering.ts";
import type { CommandData } from "./command-data.ts";
import type { ControlCommand } from "./control-command.ts";
import type { ResultWriter } from "./result-writer.ts";

export function coalescingCommands(coalescing: Coalescing, numbering: QueueNumbering): readonly ControlCommand[] {
  const setAll = (command: number, direction: typeof COALESCE_RX | typeof COALESCE_TX): ControlCommand => ({
    class: CTRL_NOTF_COAL,
    command,
    features: [NET_F_NOTF_COAL],
    dataBytes: CTRL_COAL_BYTES,
    execute: (data) => {
      coalescing.setAll(direction, data.u32(4), data.u32(0));
      return true;
    },
  });
  return [
    setAll(CTRL_NOTF_COAL_TX_SET, COALESCE_TX),
    setAll(CTRL_NOTF_COAL_RX_SET, COALESCE_RX),
    {
      class: CTRL_NOTF_COAL,
      command: CTRL_NOTF_COAL_VQ_SET,
      features: [NET_F_VQ_NOTF_COAL],
      dataBytes: CTRL_COAL_VQ_BYTES,
      // The two reserved bytes after vq_index are not looked at (NCOAL-1).
      execute: (data) => coalescing.setQueue(slotOf(numbering, data), data.u32(8), data.u32(4)),
    },
    {
      class: CTRL_NOTF_COAL,
      command: CTRL_NOTF_COAL_VQ_GET,
      features: [NET_F_VQ_NOTF_COAL],
      // The readable part is vq_index and reserved alone; the parameters are the result.
      dataBytes: CTRL_COAL_VQ_BYTES - CTRL_COAL_BYTES,
      resultBytes: CTRL_COAL_BYTES,
      execute: (data, result) => giveQueue(coalescing, slotOf(numbering, data), result),
    },
  ];
}

function slotOf(numbering: QueueNumbering, data: CommandData): number {
  return numbering.slotOf(data.u16(0));
}

function giveQueue(coalescing: Coalescing, slot: number, result: ResultWriter): boolean {
  if (!coalescing.isEnabled(slot)) return false;
  result.u32(coalescing.maxPackets(slot));
  result.u32(coalescing.maxUsecs(slot));
  return true;
}
