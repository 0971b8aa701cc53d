/** All commands that the card knows, one entry each. */

import { NET_F_GUEST_ANNOUNCE } from "../../spec/virtio-net.ts";
import { CTRL_ANNOUNCE, CTRL_ANNOUNCE_ACK } from "../../spec/virtio-net-control.ts";
import type { ConfigSpace } from "../config-space.ts";
import type { DriverSettings } from "../driver-settings.ts";
import type { FeatureNegotiation } from "../features.ts";
import type { QueueNumbering } from "../queue-numbering.ts";
import type { CardStatistics } from "../statistics.ts";
import { coalescingCommands } from "./coalescing-commands.ts";
import type { ControlCommand } from "./control-command.ts";
import { filterCommands } from "./filter-commands.ts";
import { offloadCommands } from "./offload-commands.ts";
import { statisticsCommands } from "./statistics-commands.ts";
import { steeringCommands } from "./steering-commands.ts";

/** What commands read and change. */
export interface ControlParts {
  readonly features: FeatureNegotiation;
  readonly config: ConfigSpace;
  readonly numbering: QueueNumbering;
  readonly settings: DriverSettings;
  readonly statistics: CardStatistics;
}

export function controlCommands(parts: ControlParts): readonly ControlCommand[] {
  const { features, config, numbering, settings, statistics } = parts;
  return [
    ...filterCommands(settings.filter, config),
    announceCommand(config),
    ...steeringCommands(settings.steering),
    ...offloadCommands(settings.guestOffloads),
    ...coalescingCommands(settings.coalescing, numbering),
    ...statisticsCommands(numbering, statistics, features),
  ];
}

/** NANN-1. To acknowledge what was not announced does no harm. */
function announceCommand(config: ConfigSpace): ControlCommand {
  return {
    class: CTRL_ANNOUNCE,
    command: CTRL_ANNOUNCE_ACK,
    features: [NET_F_GUEST_ANNOUNCE],
    dataBytes: 0,
    execute: () => {
      config.setAnnouncing(false);
      return true;
    },
  };
}
