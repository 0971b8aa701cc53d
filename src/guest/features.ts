/** Feature negotiation: what this driver understands, and what of an offer it accepts. virtio 1.4 §2.2.1, §5.1.3.1. */
import { F_RING_EVENT_IDX, F_RING_INDIRECT_DESC, F_VERSION_1 } from "../device/spec/virtio.ts";
import {
  NET_F_CTRL_VQ,
  NET_F_MAC,
  NET_F_MRG_RXBUF,
  NET_F_MTU,
  NET_F_NOTF_COAL,
  NET_F_STATUS,
  NET_F_VQ_NOTF_COAL,
} from "../device/spec/virtio-net.ts";

const UNDERSTOOD: readonly number[] = [
  NET_F_MTU,
  NET_F_MAC,
  NET_F_MRG_RXBUF,
  NET_F_STATUS,
  NET_F_CTRL_VQ,
  F_RING_INDIRECT_DESC,
  F_RING_EVENT_IDX,
  F_VERSION_1,
  NET_F_VQ_NOTF_COAL,
  NET_F_NOTF_COAL,
];

/** Features that need another one, §5.1.3.1: a driver MUST NOT accept one without the other. */
const NEEDS_CTRL_VQ: readonly number[] = [NET_F_VQ_NOTF_COAL, NET_F_NOTF_COAL];

/** 64 feature bits as the two words in which they are read and written. */
export class FeatureSet {
  readonly low: number;
  readonly high: number;

  constructor(low: number, high: number) {
    this.low = low >>> 0;
    this.high = high >>> 0;
  }

  has(bit: number): boolean {
    return bit < 32 ? ((this.low >>> bit) & 1) === 1 : ((this.high >>> (bit - 32)) & 1) === 1;
  }
}

/** The subset of `offered` to accept: understood, not dropped by choice, and complete. */
export function chooseFeatures(offered: FeatureSet, dropped: readonly number[]): FeatureSet {
  const accepts = (bit: number) => offered.has(bit) && !dropped.includes(bit);
  let low = 0;
  let high = 0;
  for (const bit of UNDERSTOOD) {
    if (!accepts(bit) || (NEEDS_CTRL_VQ.includes(bit) && !accepts(NET_F_CTRL_VQ))) continue;
    if (bit < 32) low |= 1 << bit;
    else high |= 1 << (bit - 32);
  }
  return new FeatureSet(low, high);
}
