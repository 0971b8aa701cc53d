import { describe, expect, test } from "vitest";
import { Frame } from "../../../../src/device/link/frame-port.ts";
import type { FeatureName } from "../../../../src/device/net/feature-table.ts";
import { FeatureNegotiation } from "../../../../src/device/net/features.ts";
import { ReceiveFilter } from "../../../../src/device/net/receive-filter.ts";
import { FEATURE_BIT } from "../../../rings/card-machine.ts";

// Modes, §5.1.9.5.1, retyped.
const PROMISC = 0;
const ALLMULTI = 1;
const ALLUNI = 2;
const NOMULTI = 3;
const NOUNI = 4;
const NOBCAST = 5;

const OWN = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
const OTHER = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];
const GROUP = [0x33, 0x33, 0x00, 0x00, 0x00, 0x01];
const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
const ALL_FILTERS: FeatureName[] = ["CTRL_RX", "CTRL_RX_EXTRA", "CTRL_VLAN"];

function filterWith(names: readonly FeatureName[], mac = Uint8Array.from(OWN)): ReceiveFilter {
  const offer: FeatureName[] = ["VERSION_1", "CTRL_VQ", ...names];
  const features = new FeatureNegotiation({ offer });
  for (const word of [0, 1]) {
    let bits = 0;
    for (const name of offer) if (FEATURE_BIT[name] >>> 5 === word) bits |= 1 << (FEATURE_BIT[name] & 31);
    features.accept(word, bits >>> 0);
  }
  expect(features.settle()).toBe(0);
  const filter = new ReceiveFilter(features, mac);
  filter.update();
  return filter;
}

/** A frame to an address, from the middle of a buffer, with the tag control information `tci` if there is one. */
function frameTo(destination: readonly number[], tci: number | null = null, tpid = 0x8100): Frame {
  const tag = tci === null ? [] : [tpid >>> 8, tpid & 0xff, tci >>> 8, tci & 0xff];
  const bytes = [...destination, 2, 0, 0, 0, 0, 2, ...tag, 0x08, 0x00, ...new Array(46).fill(0)];
  const frame = new Frame(Uint8Array.from([9, 9, 9, ...bytes, 9]));
  frame.offset = 3;
  frame.lengthBytes = bytes.length;
  return frame;
}

/** Which of the card's own address, another one, a group and broadcast pass. */
function passing(filter: ReceiveFilter): string {
  const kinds: [string, number[]][] = [
    ["own", OWN],
    ["other", OTHER],
    ["group", GROUP],
    ["broadcast", BROADCAST],
  ];
  return kinds
    .filter(([, address]) => filter.accepts(frameTo(address)))
    .map(([name]) => name)
    .join(" ");
}

const EVERYTHING = "own other group broadcast";

describe("what passes at first", () => {
  test("everything, for a driver that has not negotiated CTRL_RX", () => {
    expect(passing(filterWith([]))).toBe(EVERYTHING);
    expect(passing(filterWith(["CTRL_VLAN"]))).toBe(EVERYTHING);
    expect(passing(filterWith(["CTRL_RX_EXTRA"]))).toBe(EVERYTHING);
  });

  test("the card's own address and broadcast, with CTRL_RX (NMAC-1, NMAC-4)", () => {
    expect(passing(filterWith(ALL_FILTERS))).toBe("own broadcast");
  });

  test("everything before features were negotiated", () => {
    const filter = new ReceiveFilter(new FeatureNegotiation(), Uint8Array.from(OWN));
    filter.update();
    expect(passing(filter)).toBe(EVERYTHING);
  });
});

describe("modes (§5.1.9.5.1)", () => {
  test.each([
    ["promiscuous: everything (NRXF-2)", [PROMISC], EVERYTHING],
    ["promiscuous wins over all suppression (NRXF-3)", [PROMISC, NOMULTI, NOUNI, NOBCAST], EVERYTHING],
    ["all multicast (NRXF-4)", [ALLMULTI], "own group broadcast"],
    ["all unicast (NRXF-6)", [ALLUNI], "own other broadcast"],
    ["no multicast leaves broadcast alone (NRXF-7, NRXF-9)", [NOMULTI], "own broadcast"],
    ["no multicast wins over all multicast (NRXF-8)", [ALLMULTI, NOMULTI], "own broadcast"],
    ["no unicast (NRXF-10)", [NOUNI], "broadcast"],
    ["no unicast wins over all unicast (NRXF-11)", [ALLUNI, NOUNI], "broadcast"],
    ["no broadcast (NRXF-12)", [NOBCAST], "own"],
    ["no broadcast wins over all multicast (NRXF-13)", [ALLMULTI, NOBCAST], "own group"],
  ])("%s", (_, modes, expected) => {
    const filter = filterWith(ALL_FILTERS);
    for (const mode of modes) filter.setMode(mode, true);
    expect(passing(filter)).toBe(expected);
    for (const mode of modes) filter.setMode(mode, false);
    expect(passing(filter)).toBe("own broadcast");
  });

  test("broadcast is one address", () => {
    const filter = filterWith(ALL_FILTERS);
    const near = [
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xfe],
      [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    for (const address of near) expect(filter.accepts(frameTo(address))).toBe(false);
    filter.setMode(ALLMULTI, true);
    filter.setMode(NOBCAST, true);
    for (const address of near) expect(filter.accepts(frameTo(address))).toBe(true);
  });

  test("suppression works without CTRL_RX too", () => {
    const filter = filterWith(["CTRL_RX_EXTRA"]);
    filter.setMode(NOUNI, true);
    expect(passing(filter)).toBe("group broadcast");
    filter.setMode(NOMULTI, true);
    filter.setMode(NOBCAST, true);
    expect(passing(filter)).toBe("");
  });

  test("suppression takes out addresses of the table as well", () => {
    const filter = filterWith(ALL_FILTERS);
    filter.multicast.set(GROUP, 0, 1);
    filter.unicast.set(OTHER, 0, 1);
    filter.update();
    expect(passing(filter)).toBe(EVERYTHING);
    filter.setMode(NOMULTI, true);
    filter.setMode(NOUNI, true);
    expect(passing(filter)).toBe("broadcast");
  });
});

describe("addresses (§5.1.9.5.2)", () => {
  test("those of the tables pass, and none that differs from them in one bit (NMAC-4)", () => {
    const filter = filterWith(["CTRL_RX"]);
    filter.unicast.set([0, ...OTHER], 1, 1);
    filter.multicast.set([...BROADCAST, ...GROUP], 0, 2);
    filter.update();
    expect(passing(filter)).toBe(EVERYTHING);
    for (const address of [OTHER, GROUP, OWN]) {
      for (let bit = 0; bit < 48; bit++) {
        const near = address.slice();
        near[bit >>> 3]! ^= 1 << (bit & 7);
        const isOther = near.every((byte, i) => byte === OTHER[i]) || near.every((byte, i) => byte === OWN[i]);
        expect(filter.accepts(frameTo(near))).toBe(isOther);
      }
    }
  });

  test("a table takes the place of the one before it", () => {
    const filter = filterWith(["CTRL_RX"]);
    filter.unicast.set(OTHER, 0, 1);
    filter.unicast.set([], 0, 0);
    filter.update();
    expect(passing(filter)).toBe("own broadcast");
  });

  test("64 addresses are looked at one by one", () => {
    const filter = filterWith(["CTRL_RX"]);
    const addresses = Array.from({ length: 64 }, (_, i) => [0x01, 0, 0x5e, 0xff, i, 255 - i]);
    filter.multicast.set(addresses.flat(), 0, 64);
    filter.update();
    for (const address of addresses) expect(filter.accepts(frameTo(address))).toBe(true);
    expect(passing(filter)).toBe("own broadcast");
  });

  test("a table of more than 64 lets all of its kind through, as §5.1.9.5.2 permits", () => {
    const filter = filterWith(["CTRL_RX"]);
    filter.multicast.set([], 0, 65);
    filter.update();
    expect(passing(filter)).toBe("own group broadcast");
    filter.unicast.set([], 0, 2 ** 32 - 1);
    filter.update();
    expect(passing(filter)).toBe(EVERYTHING);
    filter.multicast.set([], 0, 0);
    filter.unicast.set([], 0, 0);
    filter.update();
    expect(passing(filter)).toBe("own broadcast");
  });

  test("the card's own address is the one that it has now", () => {
    const mac = Uint8Array.from(OWN);
    const filter = filterWith(["CTRL_RX"], mac);
    mac.set(OTHER);
    expect(passing(filter)).toBe("other broadcast");
  });

  test("a frame without a whole header is for nobody, but in promiscuous mode", () => {
    const filter = filterWith(["CTRL_RX"]);
    const frame = frameTo(OWN);
    frame.lengthBytes = 13;
    expect(filter.accepts(frame)).toBe(false);
    filter.setMode(PROMISC, true);
    expect(filter.accepts(frame)).toBe(true);
  });
});

describe("VLANs (§5.1.9.5.3)", () => {
  const passes = (filter: ReceiveFilter, tci: number, tpid = 0x8100) => filter.accepts(frameTo(OWN, tci, tpid));

  test("all tagged frames pass without CTRL_VLAN (NVLAN-1)", () => {
    const filter = filterWith(["CTRL_RX"]);
    for (const id of [0, 1, 4095]) expect(passes(filter, id)).toBe(true);
  });

  test("with CTRL_VLAN, no tagged frame passes until its VLAN was added, and all untagged ones do (NVLAN-3)", () => {
    const filter = filterWith(["CTRL_VLAN"]);
    for (const id of [0, 1, 31, 32, 4095]) expect(passes(filter, id)).toBe(false);
    expect(filter.accepts(frameTo(OWN))).toBe(true);
  });

  test("exactly the VLANs pass that were added and not deleted (NVLAN-2)", () => {
    const filter = filterWith(["CTRL_VLAN"]);
    const added = [0, 5, 31, 32, 4095];
    for (const id of added) expect(filter.setVlan(id, true)).toBe(true);
    for (let id = 0; id < 4096; id++) expect(passes(filter, id)).toBe(added.includes(id));
    filter.setVlan(5, false);
    filter.setVlan(6, false);
    filter.setVlan(31, true);
    for (const id of [5, 6]) expect(passes(filter, id)).toBe(false);
    for (const id of [0, 31, 32, 4095]) expect(passes(filter, id)).toBe(true);
  });

  test("priority and drop eligibility do not matter", () => {
    const filter = filterWith(["CTRL_VLAN"]);
    filter.setVlan(5, true);
    expect(passes(filter, 0xf005)).toBe(true);
    expect(passes(filter, 0xf006)).toBe(false);
  });

  test.each([4096, 0xffff])("there is no VLAN %i", (id) => {
    const filter = filterWith(["CTRL_VLAN"]);
    expect(filter.setVlan(id, true)).toBe(false);
    expect(filter.setVlan(id, false)).toBe(false);
  });

  test("destination and VLAN must both be wanted", () => {
    const filter = filterWith(["CTRL_RX", "CTRL_VLAN"]);
    filter.setVlan(5, true);
    expect(filter.accepts(frameTo(OWN, 5))).toBe(true);
    expect(filter.accepts(frameTo(OTHER, 5))).toBe(false);
    expect(filter.accepts(frameTo(OWN, 6))).toBe(false);
    filter.setMode(PROMISC, true);
    expect(filter.accepts(frameTo(OTHER, 6))).toBe(true);
  });

  test("a service tag is none of these, and a tag that is cut off belongs to no VLAN", () => {
    const filter = filterWith(["CTRL_VLAN"]);
    expect(passes(filter, 6, 0x88a8)).toBe(true);
    filter.setVlan(0, true);
    const frame = frameTo(OWN, 0);
    frame.lengthBytes = 17;
    expect(filter.accepts(frame)).toBe(false);
  });
});

describe("the life of the device", () => {
  function used(): ReceiveFilter {
    const filter = filterWith(ALL_FILTERS);
    filter.setMode(ALLUNI, true);
    filter.setMode(NOBCAST, true);
    filter.setVlan(7, true);
    filter.multicast.set(GROUP, 0, 1);
    filter.unicast.set([], 0, 100);
    filter.update();
    return filter;
  }

  test("a reset leaves no mode, and empty tables (NMAC-1)", () => {
    const filter = used();
    filter.reset();
    expect(passing(filter)).toBe("own broadcast");
    expect(filter.accepts(frameTo(OWN, 7))).toBe(false);
    expect(filter.saveState()).toEqual(filterWith(ALL_FILTERS).saveState());
  });

  test("a restored card filters as the saved one", () => {
    const restored = filterWith(ALL_FILTERS);
    restored.restoreState(JSON.parse(JSON.stringify(used().saveState())));
    expect(passing(restored)).toBe("own other group");
    expect(restored.accepts(frameTo(OWN, 7))).toBe(true);
    expect(restored.accepts(frameTo(GROUP.with(5, 2)))).toBe(false);
    expect(restored.saveState()).toEqual(used().saveState());
  });
});
