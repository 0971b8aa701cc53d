/** The command that switches receive offloads on and off (virtio 1.4 §5.1.9.5.8). */

import { NET_F_CTRL_GUEST_OFFLOADS } from "../../spec/virtio-net.ts";
import { CTRL_GUEST_OFFLOADS, CTRL_GUEST_OFFLOADS_SET } from "../../spec/virtio-net-control.ts";
import type { GuestOffloads } from "../guest-offloads.ts";
import type { ControlCommand } from "./control-command.ts";

const MASK_BYTES = 8;

export function offloadCommands(offloads: GuestOffloads): readonly ControlCommand[] {
  return [
    {
      class: CTRL_GUEST_OFFLOADS,
      command: CTRL_GUEST_OFFLOADS_SET,
      features: [NET_F_CTRL_GUEST_OFFLOADS],
      dataBytes: MASK_BYTES,
      execute: (data) => offloads.set(data.u32(0), data.u32(4)),
    },
  ];
}
