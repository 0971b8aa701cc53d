import { describe, expect, it } from "vitest";
import { countersSince, parseCounters } from "../../../../../src/hypervisor/engine/linux/guest-counters.ts";

const INTERRUPTS = `           CPU0       CPU1
  0:       4548         12    XT-PIC      timer
 10:         97          3    XT-PIC      virtio0
 24:          5          6   PCI-MSI 163841-edge      virtio0-input.0
NMI:          0          0   Non-maskable interrupts
`;
const DEV = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       7       8    0    0    0     0          0         0        0       9    0    0    0     0       0          0
  eth0: 1200300    1100    2    3    0     0          0         0      420      10    0    0    0     0       0          0
`;
const SOFTNET = `0000044c 00000001 0000000a 00000000 00000000
00000001 00000000 00000002 00000000 00000000
`;
const SNMP = `Ip: Forwarding DefaultTTL
Ip: 2 64
Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
Udp: 0 1099 1 0 0 0 4 0 0
UdpLite: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors
UdpLite: 5 5 5 5 5 5 5 5 5
`;

describe("what a Linux guest has counted", () => {
  it("is read from its kernel's files: its card's interrupts, its interface, all CPUs' backlogs, its datagrams", () => {
    expect(parseCounters(INTERRUPTS, DEV, SOFTNET, SNMP)).toEqual({
      interrupts: 97 + 3 + 5 + 6,
      rxPackets: 1100,
      rxBytes: 1200300,
      rxErrors: 2,
      rxDropped: 3,
      txPackets: 10,
      softnetProcessed: 0x44c + 1,
      softnetDropped: 1,
      softnetSqueezed: 12,
      udpNoPorts: 1099,
      udpChecksumErrors: 4,
    });
  });

  it("is 0 where a kernel has no such file or line", () => {
    expect(Object.values(parseCounters("", "", "", ""))).toEqual(new Array(11).fill(0));
  });

  it("during a run is the difference of two readings", () => {
    const before = parseCounters(INTERRUPTS, DEV, SOFTNET, SNMP);
    const after = { ...before, interrupts: before.interrupts + 7, rxPackets: before.rxPackets + 40 };
    expect(countersSince(before, after)).toMatchObject({ interrupts: 7, rxPackets: 40, rxErrors: 0, udpNoPorts: 0 });
  });
});
