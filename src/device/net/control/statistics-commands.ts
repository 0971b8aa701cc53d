/** Commands that ask for statistics (virtio 1.4 §5.1.9.5.11). */

import { NET_F_DEVICE_STATS } from "../../spec/virtio-net.ts";
import {
  CTRL_STATS,
  CTRL_STATS_GET,
  CTRL_STATS_QUERY,
  STATS_CAPABILITIES_BYTES,
  STATS_REQUEST_BYTES,
} from "../../spec/virtio-net-control.ts";
import { DeviceStatistics } from "../device-statistics.ts";
import type { FeatureNegotiation } from "../features.ts";
import { NO_SLOT, type QueueNumbering } from "../queue-numbering.ts";
import type { CardStatistics } from "../statistics.ts";
import type { CommandData } from "./command-data.ts";
import type { ControlCommand } from "./control-command.ts";
import type { ResultWriter } from "./result-writer.ts";

/** Requests per queue that one command may hold: more than a queue has types. This bounds the work of a command. */
const REQUESTS_PER_QUEUE = 4;

export function statisticsCommands(
  numbering: QueueNumbering,
  statistics: CardStatistics,
  features: FeatureNegotiation,
): readonly ControlCommand[] {
  const device = new DeviceStatistics(numbering, statistics, features);
  const requests = new StatisticsRequests(numbering);
  return [
    {
      class: CTRL_STATS,
      command: CTRL_STATS_QUERY,
      features: [NET_F_DEVICE_STATS],
      dataBytes: 0,
      resultBytes: STATS_CAPABILITIES_BYTES,
      execute: (_data, result) => {
        device.writeCapabilities(result);
        return true;
      },
    },
    {
      class: CTRL_STATS,
      command: CTRL_STATS_GET,
      features: [NET_F_DEVICE_STATS],
      dataBytes: 0,
      isOpen: true,
      execute: (data, result) => requests.read(data, device) && requests.answer(device, result),
    },
  ];
}

/** What one STATS_GET asks for, read once from guest memory. */
class StatisticsRequests {
  readonly #numbering: QueueNumbering;
  #count = 0;
  readonly #slots: Uint32Array;
  // Bitmaps of types, as words.
  readonly #low: Uint32Array;
  readonly #high: Uint32Array;

  constructor(numbering: QueueNumbering) {
    const requestsMax = REQUESTS_PER_QUEUE * numbering.slotCount;
    this.#numbering = numbering;
    this.#slots = new Uint32Array(requestsMax);
    this.#low = new Uint32Array(requestsMax);
    this.#high = new Uint32Array(requestsMax);
  }

  /** False if one of them is wrong (NSTAT-2, NSTAT-3). */
  read(data: CommandData, device: DeviceStatistics): boolean {
    this.#count = data.lengthBytes / STATS_REQUEST_BYTES;
    if (!Number.isInteger(this.#count) || this.#count > this.#slots.length) return false;
    for (let i = 0; i < this.#count; i++) {
      data.load(i * STATS_REQUEST_BYTES, STATS_REQUEST_BYTES);
      const slot = this.#numbering.slotOf(data.u16(0));
      const low = data.u32(8);
      const high = data.u32(12);
      if (slot === NO_SLOT || !device.hasTypes(slot, low, high)) return false;
      this.#slots[i] = slot;
      this.#low[i] = low;
      this.#high[i] = high;
    }
    return true;
  }

  /** Writes as much as there is room for (NSTAT-6). */
  answer(device: DeviceStatistics, result: ResultWriter): true {
    for (let i = 0; i < this.#count; i++) {
      device.writeReplies(this.#slots[i]!, this.#low[i]!, this.#high[i]!, result);
    }
    return true;
  }
}
