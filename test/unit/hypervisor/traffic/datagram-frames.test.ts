import { describe, expect, it } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import { DatagramFrames } from "../../../../src/hypervisor/traffic/datagram-frames.ts";
import { dissect } from "../../../linux/wire/dissection.ts";

const MAC = [2, 0x53, 0x50, 0x57, 0, 3];
const ADDRESS = [10, 83, 0, 4];

function makeFrames(slotBytes = 1514) {
  const frames = new DatagramFrames({ slotBytes, destinationMac: MAC, destinationAddress: ADDRESS, seed: 7 });
  return (sequence: number, lengthBytes: number) => {
    const frame = new Frame(new Uint8Array(0));
    frame.flags = 1;
    frames.stamp(frame, sequence, lengthBytes);
    return { frame, bytes: frame.bytes.slice(frame.offset, frame.offset + frame.lengthBytes) };
  };
}

describe("frames for an operating system", () => {
  it("are datagrams whose checksums and lengths are right, whatever their length", () => {
    const make = makeFrames();
    for (let lengthBytes = 60; lengthBytes <= 1514; lengthBytes++) {
      const { bytes } = make(lengthBytes * 7919, lengthBytes);
      expect(bytes).toHaveLength(lengthBytes);
      const { faults, toMac, ip, toPort } = dissect(bytes);
      expect({ faults, toMac, toPort }).toEqual({ faults: [], toMac: "02:53:50:57:00:03", toPort: 9 });
      expect([...ip!.to]).toEqual(ADDRESS);
    }
  });

  it("are right at the longest length that IP has, too", () => {
    const make = makeFrames(65549);
    for (const sequence of [0, 1, 0xffff, 0x10000, 0xffffffff]) {
      for (const lengthBytes of [65549, 65548, 9014])
        expect(dissect(make(sequence, lengthBytes).bytes).faults).toEqual([]);
    }
  });

  it("carry their number, ask for no offload, and begin at 4 mod 8", () => {
    const { frame, bytes } = makeFrames()(0x01020304, 100);
    expect([...bytes.slice(42, 46)]).toEqual([1, 2, 3, 4]);
    expect(frame).toMatchObject({ id: 0x01020304, flags: 0, gsoType: 0 });
    expect(frame.offset % 8).toBe(4);
  });

  it("are as long as the shortest Ethernet frame at the least", () => {
    expect(makeFrames()(1, 36).bytes).toHaveLength(60);
  });

  it("never have a checksum of 0, which would say that there is none", () => {
    const make = makeFrames(60);
    for (let sequence = 0; sequence < 0x10000; sequence++) {
      const { frame } = make(sequence, 60);
      const at = frame.offset + 40;
      if (frame.bytes[at] === 0 && frame.bytes[at + 1] === 0) throw new Error(`datagram ${sequence} has no checksum`);
    }
  });

  it("are refused lengths that no datagram has", () => {
    expect(() => makeFrames(59)).toThrow("slotBytes: got 59, allowed are 60 to 65549 for a datagram");
    expect(() => makeFrames(100)(1, 101)).toThrow("lengthBytes: got 101");
  });
});
