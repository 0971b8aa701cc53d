/** The header before a frame to send: what the device believes of it, and what not. Virtio 1.4 §5.1.9.2. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import type { SentFrame } from "./harness/device-host.mjs";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import type { Feature } from "./harness/numbers.ts";

const OFFLOADS: readonly Feature[] = ["MAC", "CSUM", "HOST_TSO4", "HOST_USO", "CTRL_VQ"];
const NEEDS_CSUM = 1;
const TCPV4 = 1;
const MSS = 500;

/** A header: flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers. */
function header(fields: {
  flags?: number;
  gsoType?: number;
  hdrLen?: number;
  gsoSize?: number;
  csumStart?: number;
  csumOffset?: number;
}): number[] {
  const { flags = 0, gsoType = 0, hdrLen = 0, gsoSize = 0, csumStart = 0, csumOffset = 0 } = fields;
  const words = [hdrLen, gsoSize, csumStart, csumOffset, 0].flatMap((word) => [word & 0xff, word >> 8]);
  return [flags, gsoType, ...words];
}

/** TCP over IPv4 with 1200 bytes of data, its checksum field holding `field`. */
function segmentable(field: number): Uint8Array {
  const data = Array.from({ length: 1200 }, (_, i) => (i * 7 + 3) & 0xff);
  const total = 40 + data.length;
  const ip = [0x45, 0, total >> 8, total & 0xff, 0, 1, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
  const tcp = [0x30, 0x39, 0, 80, 0, 0, 0x10, 0, 0, 0, 0, 1, 0x50, 0x18, 0x10, 0, field >> 8, field & 0xff, 0, 0];
  return Uint8Array.from([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, ...ip, ...tcp, ...data]);
}

function bringUp(dut: DeviceUnderTest, features: readonly Feature[] = OFFLOADS): DeviceUnderTest {
  return dut.bringUp({ features, size: 32 });
}

/** A frame that the next hop is told nothing about: neither that its checksum is missing, nor that it is right. */
function asItIs(bytes: Uint8Array): SentFrame {
  return { bytes, flags: 0, gsoType: 0, gsoSize: 0, hdrLen: 0, csumStart: 0, csumOffset: 0 };
}

for (const takes of [false, true]) {
  const card = { wire: { takesChecksum: takes, takesSegmentation: takes } };
  const wire = takes ? "a wire that takes offloads" : "a wire that takes finished frames";

  conformance(`To ${wire}, flags that mean nothing to the device change nothing`, ["NTX-1"], { card }, (dut) => {
    bringUp(dut);
    const frame = patterned(100);
    for (const flags of [2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xfe & ~8]) {
      dut.send(frame, header({ flags }));
      expect(dut.sent()).toEqual([asItIs(frame)]);
    }
  });

  conformance(`To ${wire}, without NEEDS_CSUM the checksum's place is not looked at`, ["NTX-2"], { card }, (dut) => {
    bringUp(dut);
    const frame = patterned(100);
    for (const [csumStart, csumOffset] of [
      [14, 6],
      [0, 0],
      [99, 0],
      [0xffff, 0xffff],
    ]) {
      dut.send(frame, header({ csumStart: csumStart!, csumOffset: csumOffset! }));
      expect(dut.sent()).toEqual([asItIs(frame)]);
    }
    expect(dut.statistics().faults).toEqual({});
  });

  conformance(
    `To ${wire}, without NEEDS_CSUM a wrong checksum goes out as it is, and nobody vouches for it`,
    ["NTX-12"],
    { card },
    (dut) => {
      bringUp(dut);
      const frame = segmentable(0xdead);
      dut.send(frame, header({}));
      expect(dut.sent()).toEqual([asItIs(frame)]);
    },
  );
}

conformance("Flags that mean nothing change nothing for a driver without offloads either", ["NTX-1"], (dut) => {
  bringUp(dut, ["MAC"]);
  for (const flags of [2, 4, 0x80]) dut.send(patterned(100), header({ flags }));
  expect(dut.sent()).toEqual([1, 2, 3].map(() => asItIs(patterned(100))));
});

// §5.1.9: outer_th_offset, inner_nh_offset and outer_nh_offset would follow the 12 bytes, had their features been negotiated.
conformance(
  "Where fields of features would lie that the device has not, the frame begins",
  ["NTX-4", "NTX-9"],
  (dut) => {
    bringUp(dut);
    for (const offset of [0, 14, 0xff]) {
      const frame = patterned(100).fill(offset, 0, 8);
      dut.send(frame, header({}));
      expect(dut.sent().map(({ bytes }) => bytes)).toEqual([frame]);
    }
    expect(dut.statistics().faults).toEqual({});
  },
);

/** What goes out of a packet that is to be segmented, with any hdr_len. */
function segments(dut: DeviceUnderTest, hdrLen: number): number[][] {
  const sum = 0xc000 + 0x0201 + 0xc000 + 0x0202 + 6 + 1220;
  const pseudo = (sum & 0xffff) + (sum >>> 16);
  const fields = { flags: NEEDS_CSUM, gsoType: TCPV4, gsoSize: MSS, csumStart: 34, csumOffset: 16, hdrLen };
  dut.send(segmentable(pseudo), header(fields));
  return dut.sent().map(({ bytes }) => [...bytes]);
}

conformance("How long the headers are is read from them, not from hdr_len", ["NTX-7"], (dut) => {
  bringUp(dut);
  const right = segments(dut, 54);
  expect(right.map(({ length }) => length)).toEqual([554, 554, 254]);
  for (const wrong of [0, 1, 20, 53, 55, 200, 1254, 0xffff]) expect(segments(dut, wrong)).toEqual(right);
});

conformance("With GUEST_HDRLEN a wrong hdr_len does no harm either", ["NTX-7"], (dut) => {
  bringUp(dut, [...OFFLOADS, "GUEST_HDRLEN"]);
  const right = segments(dut, 54);
  for (const wrong of [0, 33, 0xffff]) expect(segments(dut, wrong)).toEqual(right);
});
