/** What receive and transmit paths go by, once features are negotiated. */

import {
  NET_F_HASH_REPORT,
  NET_F_MRG_RXBUF,
  NET_F_MTU,
  NET_HDR_BYTES,
  NET_HDR_HASH_BYTES,
} from "../spec/virtio-net.ts";
import type { FeatureNegotiation } from "./features.ts";

export interface Negotiated {
  readonly features: FeatureNegotiation;
  /** True if a received frame may be spread over several buffers. */
  readonly mergeable: boolean;
  /** Largest payload of a frame that is not to be segmented; null without VIRTIO_NET_F_MTU. */
  readonly mtu: number | null;
  /** Length of the header before each frame, in both directions (§5.1.9.3.1): 12, or 20 with HASH_REPORT. */
  readonly headerBytes: number;
}

/** `mtu` is the one that the card offers. */
export function negotiated(features: FeatureNegotiation, mtu: number): Negotiated {
  return {
    features,
    mergeable: features.has(NET_F_MRG_RXBUF),
    mtu: features.has(NET_F_MTU) ? mtu : null,
    headerBytes: features.has(NET_F_HASH_REPORT) ? NET_HDR_HASH_BYTES : NET_HDR_BYTES,
  };
}
