/** Commands of receive steering and of the hash (virtio 1.4 §5.1.9.5.5 … §5.1.9.5.7). */

import { NET_F_HASH_REPORT, NET_F_MQ, NET_F_RSS, RSS_TABLE_ENTRIES } from "../../spec/virtio-net.ts";
import {
  CTRL_MQ,
  CTRL_MQ_HASH_CONFIG,
  CTRL_MQ_RSS_CONFIG,
  CTRL_MQ_VQ_PAIRS_SET,
} from "../../spec/virtio-net-control.ts";
import type { RssParameters, Steering } from "../steering.ts";
import type { CommandData } from "./command-data.ts";
import type { ControlCommand } from "./control-command.ts";

const PAIRS_BYTES = 2;
// struct virtio_net_rss_config: le32 hash_types, le16 indirection_table_mask, le16 unclassified_queue, the table of le16,
// le16 max_tx_vq, u8 hash_key_length, the key.
const RSS_HEAD_BYTES = 8;
const RSS_ENTRY_BYTES = 2;
const RSS_TAIL_BYTES = 3;
// struct virtio_net_hash_config: le32 hash_types, le16 reserved[4], u8 hash_key_length, the key.
const HASH_HEAD_BYTES = 13;
const HASH_KEY_LENGTH = 12;

export function steeringCommands(steering: Steering): readonly ControlCommand[] {
  const rss = {
    hashTypes: 0,
    tableEntries: 0,
    table: new Uint16Array(RSS_TABLE_ENTRIES),
    unclassifiedPair: 0,
    transmitPairs: 0,
  };
  return [
    {
      class: CTRL_MQ,
      command: CTRL_MQ_VQ_PAIRS_SET,
      features: [NET_F_MQ],
      dataBytes: PAIRS_BYTES,
      execute: (data) => steering.setPairs(data.u16(0)),
    },
    {
      class: CTRL_MQ,
      command: CTRL_MQ_RSS_CONFIG,
      features: [NET_F_RSS],
      dataBytes: RSS_HEAD_BYTES,
      isOpen: true,
      execute: (data) => configureRss(steering, data, rss),
    },
    {
      class: CTRL_MQ,
      command: CTRL_MQ_HASH_CONFIG,
      features: [NET_F_HASH_REPORT],
      dataBytes: HASH_HEAD_BYTES,
      isOpen: true,
      execute: (data) => configureHash(steering, data),
    },
  ];
}

/** An rss_rq_id holds bits 1 to 16 of the index of a receive queue, which is the number of its pair. */
function configureRss(steering: Steering, data: CommandData, rss: RssParameters): boolean {
  rss.hashTypes = data.u32(0);
  rss.tableEntries = data.u16(4) + 1;
  rss.unclassifiedPair = data.u16(6);
  if (rss.tableEntries > RSS_TABLE_ENTRIES) return false;
  const tableBytes = rss.tableEntries * RSS_ENTRY_BYTES;
  if (!data.load(RSS_HEAD_BYTES, tableBytes + RSS_TAIL_BYTES)) return false;
  for (let i = 0; i < rss.tableEntries; i++) rss.table[i] = data.u16(i * RSS_ENTRY_BYTES);
  rss.transmitPairs = data.u16(tableBytes);
  const keyBytes = data.u8(tableBytes + 2);
  const keyAt = RSS_HEAD_BYTES + tableBytes + RSS_TAIL_BYTES;
  if (data.lengthBytes !== keyAt + keyBytes || !data.load(keyAt, keyBytes)) return false;
  return steering.setRss(rss, data.bytes, 0, keyBytes);
}

/** What is in the reserved field does not matter: drivers of old send there what RSS would have. */
function configureHash(steering: Steering, data: CommandData): boolean {
  const hashTypes = data.u32(0);
  const keyBytes = data.u8(HASH_KEY_LENGTH);
  if (data.lengthBytes !== HASH_HEAD_BYTES + keyBytes || !data.load(HASH_HEAD_BYTES, keyBytes)) return false;
  return steering.setHash(hashTypes, data.bytes, 0, keyBytes);
}
