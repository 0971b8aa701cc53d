/** Frames in the driver's buffers, and the header before each: virtio 1.4 §5.1.9.3, §5.1.9.4, without offloads. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import { fromLe } from "./harness/control-numbers.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import type { Feature } from "./harness/numbers.ts";

const PLAIN: readonly Feature[] = ["MAC"];
const MERGED: readonly Feature[] = ["MAC", "MRG_RXBUF"];
const HEADER = 12;
const NUM_BUFFERS = 10;

const numBuffers = (dut: DeviceUnderTest, first: number): number => fromLe(dut.ram.bytes(first + NUM_BUFFERS, 2), 0, 2);

/** Offers buffers of these lengths, and receives a frame of `bytes`: what was used, in order. */
function spread(dut: DeviceUnderTest, lengths: readonly number[], bytes: number) {
  const chains = lengths.map((length) => dut.offerBuffer(length));
  const frame = patterned(bytes);
  dut.receive(frame);
  const used = dut.rx.collectUsed();
  const written = used.flatMap((chain) => [...dut.written(chain)]);
  return { chains, frame, used, written };
}

conformance(
  "Without MRG_RXBUF num_buffers is 1, and one chain holds the frame",
  ["NRX-1", "NRXB-2", "NRXB-1"],
  (dut) => {
    dut.bringUp({ features: PLAIN });
    for (const bytes of [14, 60, 1514]) {
      const { chains, used, written, frame } = spread(dut, [1526], bytes);
      expect(used).toEqual(chains);
      expect(used[0]!.usedLength).toBe(HEADER + bytes);
      expect(numBuffers(dut, chains[0]!.buffers[0]!.address)).toBe(1);
      expect(written.slice(HEADER)).toEqual([...frame]);
    }
  },
);

conformance(
  "Without MRG_RXBUF a frame is never spread, though the buffers together would hold it",
  ["NRXB-2"],
  (dut) => {
    dut.bringUp({ features: PLAIN });
    const { used } = spread(dut, [600, 600, 600], 1514);
    // A buffer too small for any frame is given back unused; the frame is dropped.
    expect(used.every(({ usedLength }) => usedLength === 0)).toBe(true);
    expect(dut.statistics().queues[0]!.dropped).toBe(1);
  },
);

for (const [name, lengths, bytes, expected] of [
  ["one that holds it", [1526], 1514, [1526]],
  ["one that it fills to the last byte", [112, 100], 100, [112]],
  ["two", [1000, 1000], 1514, [1000, 526]],
  ["two, of which the second gets one byte", [111, 100], 100, [111, 1]],
  ["many of different lengths", [12, 40, 500, 13, 700, 900], 1514, [12, 40, 500, 13, 700, 261]],
  ["many small ones", new Array(13).fill(128), 1514, [...new Array(11).fill(128), 118]],
] as const) {
  conformance(
    `With MRG_RXBUF a frame takes ${name}: each is full but the last, and num_buffers counts them`,
    ["NRX-2", "NRX-3", "NRXB-1"],
    (dut) => {
      dut.bringUp({ features: MERGED });
      const { chains, used, written, frame } = spread(dut, lengths, bytes);
      expect(used).toEqual(chains.slice(0, expected.length));
      expect(used.map(({ usedLength }) => usedLength)).toEqual(expected);
      expect(numBuffers(dut, chains[0]!.buffers[0]!.address)).toBe(expected.length);
      expect(written.slice(HEADER)).toEqual([...frame]);
    },
  );
}

conformance("A frame for which a buffer is missing shows none of those it had", ["NRX-4"], (dut) => {
  dut.bringUp({ features: MERGED });
  const { used } = spread(dut, [600, 600], 1514);
  expect(used).toEqual([]);
  expect(dut.statistics().queues[0]!.dropped).toBe(1);
  dut.offerBuffer(600);
  dut.receive(patterned(1514));
  expect(dut.rx.collectUsed().map(({ usedLength }) => usedLength)).toEqual([600, 600, 326]);
});

conformance(
  "A driver that looks at any moment sees all buffers of a frame or none",
  ["NRX-4"],
  { places: ["other thread"] },
  (dut) => {
    dut.bringUp({ features: MERGED, size: 64 });
    const frames = 300;
    let offered = 0;
    let seen = 0;
    let left = 0;
    const offer = () => {
      for (; offered - seen < 48; offered++) dut.offerBuffer(512);
      dut.rx.kick();
    };
    offer();
    dut.inject(...Array.from({ length: frames }, () => patterned(1514)));
    dut.whilePolling(() => {
      const used = dut.rx.collectUsed();
      seen += used.length;
      for (const { buffers } of used) {
        if (left === 0) left = numBuffers(dut, buffers[0]!.address);
        left--;
      }
      // One look must end with a whole frame.
      expect(left).toBe(0);
      offer();
      const { dropped, frames: delivered } = dut.statistics().queues[0]!;
      return delivered + dropped === frames;
    });
  },
);

/** UDP over IPv4, to be finished: the checksum field holds the pseudo header's sum. */
const DATAGRAM = Uint8Array.from([
  ...[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0],
  ...[0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2],
  ...[0x30, 0x39, 0, 53, 0, 12, 0x84, 0x21, 1, 2, 3, 4],
]);

conformance("Without GUEST_CSUM the flags are 0, and what the wire left undone is done", ["NRX-5", "NRX-6"], (dut) => {
  dut.bringUp({ features: PLAIN });
  const chain = dut.offerBuffer();
  dut.receive({ bytes: DATAGRAM, flags: 1, csumStart: 34, csumOffset: 6 });
  dut.rx.collectUsed();
  const written = dut.written(chain);
  expect([...written.slice(0, HEADER)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
  expect([...written.slice(HEADER + 40, HEADER + 42)]).toEqual([0x47, 0x5e]);
});

conformance("Without GUEST_CSUM nobody vouches for a checksum", ["NRX-5", "NRX-33"], (dut) => {
  dut.bringUp({ features: PLAIN });
  const chain = dut.offerBuffer();
  dut.receive({ bytes: patterned(80), flags: 2 });
  dut.rx.collectUsed();
  expect(dut.written(chain)[0]).toBe(0);
});

/** The datagram to be cut in two, as a port may hand it over to whoever takes UDP_L4. */
const WHOLE = { bytes: DATAGRAM, flags: 1, gsoType: 5, gsoSize: 2, hdrLen: 42, csumStart: 34, csumOffset: 6 };
const UNFINISHED = { ...WHOLE, gsoType: 0, gsoSize: 0, hdrLen: 0 };
const FINISHED = { ...UNFINISHED, flags: 0, csumStart: 0, csumOffset: 0 };

conformance("Bits of features that the device has not are never set", ["NRX-11", "NRX-12", "NRX-30"], (dut) => {
  dut.bringUp({ features: ["MAC", "GUEST_CSUM", "GUEST_USO4", "MRG_RXBUF"], size: 32 });
  /** Flags, type and bytes of what the driver gets of one frame; null if it gets nothing, and that is counted. */
  const shown = (frame: typeof WHOLE): (number | number[])[] | null => {
    const { dropped } = dut.statistics().queues[0]!;
    dut.offerBuffer();
    dut.receive(frame);
    const [chain] = dut.rx.collectUsed();
    if (chain === undefined) {
      expect(dut.statistics().queues[0]!.dropped).toBe(dropped + 1);
      return null;
    }
    const [flags, gsoType, ...rest] = dut.written(chain);
    return [flags!, gsoType!, rest.slice(HEADER - 2)];
  };
  // RSC_INFO, UDP_TUNNEL_CSUM, and all but NEEDS_CSUM and DATA_VALID: the frame is taken, the bit is not.
  for (const extra of [0, 4, 8, 0xfc]) {
    for (const frame of [FINISHED, UNFINISHED, WHOLE]) {
      expect(shown({ ...frame, flags: frame.flags | extra })).toEqual([frame.flags, frame.gsoType, [...DATAGRAM]]);
    }
  }
  // A tunnel's bits beside the type: nobody could finish such a frame, so it does not come at all.
  for (const tunnel of [0x20, 0x40, 0x60]) {
    for (const extra of [0, 8]) {
      expect(shown({ ...WHOLE, flags: 1 | extra, gsoType: 5 | tunnel })).toBeNull();
    }
  }
  expect(shown(WHOLE)?.slice(0, 2)).toEqual([1, 5]);
});
