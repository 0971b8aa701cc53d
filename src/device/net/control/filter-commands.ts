/** Commands that choose what is received: modes, addresses, VLANs (virtio 1.4 §5.1.9.5.1 … §5.1.9.5.3). */

import { NET_F_CTRL_MAC_ADDR, NET_F_CTRL_RX, NET_F_CTRL_RX_EXTRA, NET_F_CTRL_VLAN } from "../../spec/virtio-net.ts";
import {
  CTRL_MAC,
  CTRL_MAC_ADDR_SET,
  CTRL_MAC_TABLE_SET,
  CTRL_RX,
  CTRL_RX_ALLMULTI,
  CTRL_RX_ALLUNI,
  CTRL_RX_NOBCAST,
  CTRL_RX_NOMULTI,
  CTRL_RX_NOUNI,
  CTRL_RX_PROMISC,
  CTRL_VLAN,
  CTRL_VLAN_ADD,
  CTRL_VLAN_DEL,
} from "../../spec/virtio-net-control.ts";
import type { ConfigSpace } from "../config-space.ts";
import { MAC_BYTES, MAC_TABLE_ENTRIES, type MacTable } from "../mac-table.ts";
import type { ReceiveFilter } from "../receive-filter.ts";
import type { CommandData } from "./command-data.ts";
import type { ControlCommand } from "./control-command.ts";

const MODE_BYTES = 1;
const VLAN_ID_BYTES = 2;
/** The number of entries before each of the two tables. */
const COUNT_BYTES = 4;

export function filterCommands(filter: ReceiveFilter, config: ConfigSpace): readonly ControlCommand[] {
  const mode = (command: number, feature: number): ControlCommand => ({
    class: CTRL_RX,
    command,
    features: [feature],
    dataBytes: MODE_BYTES,
    execute: (data) => setMode(filter, command, data.u8(0)),
  });
  const vlan = (command: number, wanted: boolean): ControlCommand => ({
    class: CTRL_VLAN,
    command,
    features: [NET_F_CTRL_VLAN],
    dataBytes: VLAN_ID_BYTES,
    execute: (data) => filter.setVlan(data.u16(0), wanted),
  });
  return [
    mode(CTRL_RX_PROMISC, NET_F_CTRL_RX),
    mode(CTRL_RX_ALLMULTI, NET_F_CTRL_RX),
    mode(CTRL_RX_ALLUNI, NET_F_CTRL_RX_EXTRA),
    mode(CTRL_RX_NOMULTI, NET_F_CTRL_RX_EXTRA),
    mode(CTRL_RX_NOUNI, NET_F_CTRL_RX_EXTRA),
    mode(CTRL_RX_NOBCAST, NET_F_CTRL_RX_EXTRA),
    {
      class: CTRL_MAC,
      command: CTRL_MAC_TABLE_SET,
      features: [NET_F_CTRL_RX],
      dataBytes: COUNT_BYTES,
      isOpen: true,
      execute: (data) => setTables(filter, data),
    },
    {
      class: CTRL_MAC,
      command: CTRL_MAC_ADDR_SET,
      // §5.1.9.5.2 asks for CTRL_RX, §5.1.3 has a bit of its own for it; drivers go by either.
      features: [NET_F_CTRL_MAC_ADDR, NET_F_CTRL_RX],
      dataBytes: MAC_BYTES,
      execute: (data) => setAddress(config, data),
    },
    vlan(CTRL_VLAN_ADD, true),
    vlan(CTRL_VLAN_DEL, false),
  ];
}

function setMode(filter: ReceiveFilter, mode: number, value: number): boolean {
  if (value > 1) return false;
  filter.setMode(mode, value === 1);
  return true;
}

/**
 * NMAC-2. The lengths of both tables are checked before either is taken over. A table that is too long is not looked at:
 * the filter lets all of its kind through (§5.1.9.5.2). An address in the wrong table matches nothing.
 */
function setTables(filter: ReceiveFilter, data: CommandData): boolean {
  const unicasts = data.u32(0);
  const unicastBytes = unicasts * MAC_BYTES;
  if (!data.load(COUNT_BYTES + unicastBytes, COUNT_BYTES)) return false;
  const multicasts = data.u32(0);
  if (data.lengthBytes !== 2 * COUNT_BYTES + unicastBytes + multicasts * MAC_BYTES) return false;
  setTable(filter.unicast, data, COUNT_BYTES, unicasts);
  setTable(filter.multicast, data, 2 * COUNT_BYTES + unicastBytes, multicasts);
  filter.update();
  return true;
}

function setTable(table: MacTable, data: CommandData, from: number, count: number): void {
  if (count <= MAC_TABLE_ENTRIES) data.load(from, count * MAC_BYTES);
  table.set(data.bytes, 0, count);
}

/** NMAC-3. A card cannot have a group's address. */
function setAddress(config: ConfigSpace, data: CommandData): boolean {
  if ((data.u8(0) & 1) !== 0) return false;
  config.setMac(data.bytes, 0);
  return true;
}
