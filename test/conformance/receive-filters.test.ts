/** What the driver lets in: receive modes, addresses, VLANs; and the address itself. Virtio 1.4 §5.1.9.5.1 to §5.1.9.5.3. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import {
  ERR,
  le,
  MAC_ADDR_SET,
  MAC_TABLE_SET,
  macTable,
  OK,
  RX_ALLMULTI,
  RX_ALLUNI,
  RX_NOBCAST,
  RX_NOMULTI,
  RX_NOUNI,
  RX_PROMISC,
  VLAN_ADD,
  VLAN_DEL,
} from "./harness/control-numbers.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { CARD_MAC } from "./harness/frames.ts";
import type { Feature } from "./harness/numbers.ts";

const FEATURES: readonly Feature[] = ["MAC", "CTRL_VQ", "CTRL_RX", "CTRL_RX_EXTRA", "CTRL_MAC_ADDR"];
const WITH_VLAN: readonly Feature[] = [...FEATURES, "CTRL_VLAN"];
const OTHER = [0x02, 0, 0, 0, 0, 0x77];
const THIRD = [0x02, 0, 0, 0, 0, 0x78];
const GROUP = [0x01, 0x00, 0x5e, 0, 0, 0x05];
const OTHER_GROUP = [0x33, 0x33, 0, 0, 0, 0x01];
const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const FROM = [0x02, 0, 0, 0, 0, 0x99];

type Mode = readonly [number, number];

function bringUp(dut: DeviceUnderTest, features = FEATURES): DeviceUnderTest {
  dut.bringUp({ features });
  for (let i = 0; i < 12; i++) dut.offerBuffer();
  return dut;
}

/** True if a frame to `mac` (tagged with `vlan`) reaches the driver. */
function passes(dut: DeviceUnderTest, mac: readonly number[], vlan?: number): boolean {
  const tag = vlan === undefined ? [] : [0x81, 0, vlan >> 8, vlan & 0xff];
  dut.receive(Uint8Array.from([...mac, ...FROM, ...tag, 0x88, 0xb5, ...new Uint8Array(46)]));
  const delivered = dut.rx.collectUsed().length === 1;
  if (delivered) dut.offerBuffer();
  return delivered;
}

const ack = (dut: DeviceUnderTest, command: Mode, data: readonly number[]): number => dut.command(...command, data)[0]!;

function set(dut: DeviceUnderTest, mode: Mode, on: boolean): void {
  expect(ack(dut, mode, [on ? 1 : 0])).toBe(OK);
}

conformance("PROMISC and ALLMULTI are carried out, on and off", ["NRXF-1"], (dut) => {
  bringUp(dut);
  for (const mode of [RX_PROMISC, RX_ALLMULTI]) {
    set(dut, mode, true);
    set(dut, mode, false);
    expect(ack(dut, mode, [2])).toBe(ERR);
  }
});

conformance("ALLUNI, NOMULTI, NOUNI and NOBCAST are carried out, on and off", ["NRXF-5"], (dut) => {
  bringUp(dut);
  for (const mode of [RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST]) {
    set(dut, mode, true);
    set(dut, mode, false);
  }
});

conformance("Without CTRL_RX_EXTRA its commands are refused", ["NRXF-5"], (dut) => {
  bringUp(dut, ["MAC", "CTRL_VQ", "CTRL_RX"]);
  for (const mode of [RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST]) expect(ack(dut, mode, [1])).toBe(ERR);
});

/** A device that filters: promiscuous off, and one address and one group in the table. */
function filtering(dut: DeviceUnderTest): DeviceUnderTest {
  bringUp(dut);
  set(dut, RX_PROMISC, false);
  expect(ack(dut, MAC_TABLE_SET, [...macTable(OTHER), ...macTable(GROUP)])).toBe(OK);
  return dut;
}

conformance("A device that filters takes its address, those in the table, and broadcasts", ["NMAC-4"], (dut) => {
  filtering(dut);
  const taken = [CARD_MAC, OTHER, THIRD, GROUP, OTHER_GROUP, BROADCAST].map((mac) => passes(dut, mac));
  expect(taken).toEqual([true, true, false, true, false, true]);
});

conformance("A promiscuous device takes everything", ["NRXF-2"], (dut) => {
  filtering(dut);
  set(dut, RX_PROMISC, true);
  for (const mac of [CARD_MAC, OTHER, THIRD, GROUP, OTHER_GROUP, BROADCAST]) expect(passes(dut, mac)).toBe(true);
  set(dut, RX_PROMISC, false);
  expect(passes(dut, THIRD)).toBe(false);
});

conformance("A promiscuous device takes what other modes would drop", ["NRXF-3"], (dut) => {
  filtering(dut);
  set(dut, RX_PROMISC, true);
  for (const mode of [RX_NOMULTI, RX_NOUNI, RX_NOBCAST]) set(dut, mode, true);
  for (const mac of [CARD_MAC, THIRD, GROUP, OTHER_GROUP, BROADCAST]) expect(passes(dut, mac)).toBe(true);
});

conformance(
  "A promiscuous device takes frames of every VLAN, in the table or not, until it filters again",
  ["NRXF-2", "NRXF-3"],
  (dut) => {
    bringUp(dut, WITH_VLAN);
    expect(ack(dut, VLAN_ADD, le(2, 2))).toBe(OK);
    const vlans = [undefined, 0, 1, 2, 100, 4095];
    const taken = (mac: readonly number[]): boolean[] => vlans.map((vlan) => passes(dut, mac, vlan));
    const all = vlans.map(() => true);
    const filtered = [true, false, false, true, false, false];
    expect(taken(CARD_MAC)).toEqual(filtered);
    set(dut, RX_PROMISC, true);
    for (const mac of [CARD_MAC, THIRD, GROUP, BROADCAST]) expect(taken(mac)).toEqual(all);
    // Neither commands for the table nor the other modes take that back.
    expect(ack(dut, VLAN_ADD, le(100, 2))).toBe(OK);
    expect(ack(dut, VLAN_DEL, le(2, 2))).toBe(OK);
    for (const mode of [RX_NOMULTI, RX_NOUNI, RX_NOBCAST]) set(dut, mode, true);
    for (const mac of [CARD_MAC, THIRD, GROUP, BROADCAST]) expect(taken(mac)).toEqual(all);
    for (const mode of [RX_NOMULTI, RX_NOUNI, RX_NOBCAST, RX_PROMISC]) set(dut, mode, false);
    expect(taken(CARD_MAC)).toEqual([true, false, false, false, true, false]);
    expect(taken(THIRD)).toEqual(vlans.map(() => false));
  },
);

conformance("With ALLMULTI every group is taken, and no other unicast", ["NRXF-4"], (dut) => {
  filtering(dut);
  set(dut, RX_ALLMULTI, true);
  expect([GROUP, OTHER_GROUP, THIRD].map((mac) => passes(dut, mac))).toEqual([true, true, false]);
});

conformance("With ALLUNI every unicast address is taken, and no other group", ["NRXF-6"], (dut) => {
  filtering(dut);
  set(dut, RX_ALLUNI, true);
  expect([OTHER, THIRD, OTHER_GROUP].map((mac) => passes(dut, mac))).toEqual([true, true, false]);
});

conformance(
  "With NOMULTI no group is taken, not even one in the table, but broadcasts are",
  ["NRXF-7", "NRXF-9"],
  (dut) => {
    filtering(dut);
    set(dut, RX_NOMULTI, true);
    expect([GROUP, OTHER_GROUP, BROADCAST, CARD_MAC].map((mac) => passes(dut, mac))).toEqual([
      false,
      false,
      true,
      true,
    ]);
  },
);

conformance("NOMULTI wins over ALLMULTI", ["NRXF-8"], (dut) => {
  filtering(dut);
  set(dut, RX_ALLMULTI, true);
  set(dut, RX_NOMULTI, true);
  expect([GROUP, OTHER_GROUP].map((mac) => passes(dut, mac))).toEqual([false, false]);
});

conformance("With NOUNI no unicast address is taken, not even the device's own", ["NRXF-10"], (dut) => {
  filtering(dut);
  set(dut, RX_NOUNI, true);
  expect([CARD_MAC, OTHER, GROUP, BROADCAST].map((mac) => passes(dut, mac))).toEqual([false, false, true, true]);
});

conformance("NOUNI wins over ALLUNI", ["NRXF-11"], (dut) => {
  filtering(dut);
  set(dut, RX_ALLUNI, true);
  set(dut, RX_NOUNI, true);
  expect([CARD_MAC, THIRD].map((mac) => passes(dut, mac))).toEqual([false, false]);
});

conformance("With NOBCAST no broadcast is taken, and with ALLMULTI neither", ["NRXF-12", "NRXF-13"], (dut) => {
  filtering(dut);
  set(dut, RX_NOBCAST, true);
  expect([BROADCAST, GROUP, CARD_MAC].map((mac) => passes(dut, mac))).toEqual([false, true, true]);
  set(dut, RX_ALLMULTI, true);
  expect([BROADCAST, OTHER_GROUP].map((mac) => passes(dut, mac))).toEqual([false, true]);
});

conformance("After a reset the table of addresses is empty", ["NMAC-1"], (dut) => {
  filtering(dut);
  expect(passes(dut, OTHER)).toBe(true);
  bringUp(dut);
  set(dut, RX_PROMISC, false);
  expect([OTHER, GROUP, CARD_MAC].map((mac) => passes(dut, mac))).toEqual([false, false, true]);
});

conformance("A table counts from the moment its command is used, and replaces the one before", ["NMAC-2"], (dut) => {
  filtering(dut);
  expect(ack(dut, MAC_TABLE_SET, [...macTable(THIRD), ...macTable(OTHER_GROUP)])).toBe(OK);
  expect([OTHER, GROUP, THIRD, OTHER_GROUP].map((mac) => passes(dut, mac))).toEqual([false, false, true, true]);
  // A table that is cut short is refused, and changes nothing.
  expect(ack(dut, MAC_TABLE_SET, [...le(2, 4), ...OTHER, ...macTable()])).toBe(ERR);
  expect(passes(dut, THIRD)).toBe(true);
});

conformance("The address in the configuration is new once the command is used", ["NMAC-3"], (dut) => {
  filtering(dut);
  expect(ack(dut, MAC_ADDR_SET, THIRD)).toBe(OK);
  expect(Array.from({ length: 6 }, (_, i) => dut.transport.config(i, 1))).toEqual(THIRD);
  expect([THIRD, CARD_MAC].map((mac) => passes(dut, mac))).toEqual([true, false]);
});

conformance("Without CTRL_VLAN every tagged frame is taken", ["NVLAN-1"], (dut) => {
  filtering(dut);
  for (const vlan of [0, 1, 100, 4095]) expect(passes(dut, CARD_MAC, vlan)).toBe(true);
});

conformance(
  "With CTRL_VLAN frames of the VLANs in the table are taken, and of no other",
  ["NVLAN-2", "NVLAN-3"],
  (dut) => {
    bringUp(dut, WITH_VLAN);
    const vlans = [1, 2, 100, 4095];
    expect(vlans.map((vlan) => passes(dut, CARD_MAC, vlan))).toEqual([false, false, false, false]);
    for (const vlan of [2, 4095]) expect(ack(dut, VLAN_ADD, le(vlan, 2))).toBe(OK);
    expect(vlans.map((vlan) => passes(dut, CARD_MAC, vlan))).toEqual([false, true, false, true]);
    // The priority in the tag is no part of the VLAN.
    expect(passes(dut, CARD_MAC, 0xe002)).toBe(true);
    expect(ack(dut, VLAN_DEL, le(2, 2))).toBe(OK);
    expect(vlans.map((vlan) => passes(dut, CARD_MAC, vlan))).toEqual([false, false, false, true]);
    expect(passes(dut, CARD_MAC)).toBe(true);
  },
);
