/** Feature bits: virtio 1.4 §2.2, §5.1.3, §6. */

import { expect } from "vitest";
import { conformance } from "./harness/conformance.ts";
import { DEPENDENT, featuresOf, isLegal, legalPart } from "./harness/dependencies.ts";
import type { DeviceUnderTest } from "./harness/device-under-test.ts";
import { patterned } from "./harness/frames.ts";
import { ACKNOWLEDGE, ALL_FEATURES, DRIVER, FEATURE_BIT, FEATURES_OK, type Feature } from "./harness/numbers.ts";

/** Needs a translator, another transport, or an embedder who wants it. */
const SPECIAL: readonly Feature[] = ["ACCESS_PLATFORM", "NOTIF_CONFIG_DATA"];
/** All that a card can be asked for. */
const EVERYTHING = ALL_FEATURES.filter((name) => !SPECIAL.includes(name));
const FULL_CARD = { pairs: 2, vectors: 5, extra: EVERYTHING };
/** Pairs of queues cannot be switched on without a control queue. */
const ONE_PAIR = { extra: EVERYTHING.filter((name) => name !== "MQ" && name !== "RSS") };

function tryFeatures(dut: DeviceUnderTest, features: Iterable<Feature>): boolean {
  dut.status = 0;
  dut.status = ACKNOWLEDGE;
  dut.status = ACKNOWLEDGE | DRIVER;
  dut.accept([...features]);
  dut.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
  return (dut.status & FEATURES_OK) !== 0;
}

conformance("Every offered feature comes with what it needs", ["FEAT-1"], { card: FULL_CARD }, (dut) => {
  expect(isLegal(featuresOf(dut.offered))).toBe(true);
});

for (const withheld of ["CSUM", "GUEST_CSUM", "CTRL_VQ"] as const) {
  const card = withheld === "CTRL_VQ" ? ONE_PAIR : FULL_CARD;
  conformance(
    `Without ${withheld} nothing is offered that needs it`,
    ["FEAT-1"],
    { card: { ...card, withhold: [withheld] } },
    (dut) => {
      const offered = featuresOf(dut.offered);
      expect(offered.has(withheld)).toBe(false);
      expect(offered.has("MTU")).toBe(true);
      expect(isLegal(offered)).toBe(true);
    },
  );
}

conformance(
  "Without both kinds of TSO no ECN is offered",
  ["FEAT-1"],
  {
    card: { ...FULL_CARD, withhold: ["HOST_TSO4", "HOST_TSO6", "GUEST_TSO4", "GUEST_TSO6"] },
  },
  (dut) => {
    const offered = featuresOf(dut.offered);
    expect(offered.has("HOST_ECN") || offered.has("GUEST_ECN")).toBe(false);
    expect(offered.has("HOST_USO")).toBe(true);
  },
);

conformance("Every single feature is accepted together with what it needs", ["FEAT-2"], { card: FULL_CARD }, (dut) => {
  const offered = featuresOf(dut.offered);
  const refused: string[] = [];
  for (const name of offered) {
    const needs = (DEPENDENT.find(([dependent]) => dependent === name)?.[1] ?? []).map((oneOf) => oneOf[0]!);
    const further = needs.flatMap((need) => DEPENDENT.find(([dependent]) => dependent === need)?.[1][0]?.[0] ?? []);
    if (!tryFeatures(dut, new Set<Feature>(["VERSION_1", name, ...needs, ...further]))) refused.push(name);
  }
  expect(refused).toEqual([]);
});

conformance("Every feature can be left out of all that is offered", ["FEAT-2"], { card: FULL_CARD }, (dut) => {
  const offered = featuresOf(dut.offered);
  const refused: string[] = [];
  for (const left of offered) {
    if (left === "VERSION_1") continue;
    const rest = legalPart([...offered].filter((name) => name !== left));
    if (!tryFeatures(dut, rest)) refused.push(left);
  }
  expect(refused).toEqual([]);
});

conformance("All that is offered is accepted", ["FEAT-2"], { card: FULL_CARD }, (dut) => {
  expect(tryFeatures(dut, featuresOf(dut.offered))).toBe(true);
});

conformance(
  "A feature without what it needs is refused: FEATURES_OK reads 0",
  ["FEAT-3"],
  { card: FULL_CARD },
  (dut) => {
    const accepted = DEPENDENT.filter(([name]) => tryFeatures(dut, ["VERSION_1", name])).map(([name]) => name);
    expect(accepted).toEqual([]);
  },
);

conformance("A bit that was not offered is refused, whichever it is", ["FEAT-3"], (dut) => {
  const { offered } = dut;
  const taken: number[] = [];
  for (let bit = 0; bit < 128; bit++) {
    if (((offered >> BigInt(bit)) & 1n) === 1n) continue;
    tryFeatures(dut, []);
    dut.status = 0;
    dut.status = ACKNOWLEDGE | DRIVER;
    dut.accept(["VERSION_1"]);
    const word = bit >> 5;
    dut.transport.acceptWord(word, ((word === 1 ? 1 : 0) | (1 << (bit & 31))) >>> 0);
    dut.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
    if ((dut.status & FEATURES_OK) !== 0) taken.push(bit);
    for (let high = 2; high < 4; high++) dut.transport.acceptWord(high, 0);
  }
  expect(taken).toEqual([]);
});

conformance("After a refusal the driver may try again with less", ["FEAT-3", "FEAT-2"], (dut) => {
  expect(tryFeatures(dut, ["VERSION_1", "CTRL_RX"])).toBe(false);
  dut.accept(["VERSION_1", "MAC"]);
  dut.status = ACKNOWLEDGE | DRIVER | FEATURES_OK;
  expect(dut.status).toBe(ACKNOWLEDGE | DRIVER | FEATURES_OK);
});

conformance(
  "Only bits that the standard defines for this device are offered",
  ["FEAT-4", "RFB-10"],
  { card: FULL_CARD },
  (dut) => {
    let known = 0n;
    for (const name of ALL_FEATURES) known |= 1n << BigInt(FEATURE_BIT[name]);
    expect(dut.offered & ~known).toBe(0n);
    // Reserved for transitional devices, SR-IOV, the administration queue, and NOTIF_CONFIG_DATA on a transport without it.
    const forbidden = [6, 24, 27, 30, 31, 37, 41, 42, ...(dut.combination.transport === "MMIO" ? [39] : [])];
    for (const bit of forbidden) expect((dut.offered >> BigInt(bit)) & 1n).toBe(0n);
  },
);

conformance(
  "A card with all its features moves frames",
  ["FEAT-4"],
  { card: { ...FULL_CARD, extra: ["MQ"] } },
  (dut) => {
    const offered = [...featuresOf(dut.offered)].filter((name) => name !== "RING_PACKED");
    dut.bringUp({ features: offered, pairs: 2 });
    dut.offerBuffer(70_000);
    dut.receive(patterned(100));
    expect(dut.rx.collectUsed().map(({ usedLength }) => usedLength)).toEqual([dut.headerBytes + 100]);
    dut.send(patterned(90));
    expect(dut.sent().map(({ bytes }) => bytes)).toEqual([patterned(90)]);
  },
);

conformance(
  "Features that were accepted once are accepted after every reset",
  ["FEAT-5"],
  { card: FULL_CARD },
  (dut) => {
    const features = featuresOf(dut.offered);
    for (let life = 0; life < 4; life++) expect(tryFeatures(dut, features)).toBe(true);
    expect(tryFeatures(dut, ["VERSION_1"])).toBe(true);
    expect(tryFeatures(dut, features)).toBe(true);
  },
);

conformance("The offered features read the same as often as one looks, also after FEATURES_OK", ["FEAT-4"], (dut) => {
  const first = dut.offered;
  expect(dut.offered).toBe(first);
  dut.bringUp();
  expect(dut.offered).toBe(first);
});

conformance("VERSION_1 is offered", ["RFB-1"], (dut) => {
  expect(dut.isOffered("VERSION_1")).toBe(true);
});

conformance(
  "VERSION_1 is offered by a card that was told to offer little",
  ["RFB-1"],
  { card: { offer: ["VERSION_1"] } },
  (dut) => {
    expect(dut.isOffered("VERSION_1")).toBe(true);
  },
);

conformance("A driver that does not accept VERSION_1 gets no further", ["RFB-2", "FEAT-3"], (dut) => {
  expect(tryFeatures(dut, ["MAC"])).toBe(false);
});

conformance(
  "Memory behind a translator: ACCESS_PLATFORM and ORDER_PLATFORM are offered",
  ["RFB-3", "RFB-8"],
  {
    card: { translated: true },
  },
  (dut) => {
    expect(dut.isOffered("ACCESS_PLATFORM")).toBe(true);
    expect(dut.isOffered("ORDER_PLATFORM")).toBe(true);
    dut.bringUp({ features: ["ACCESS_PLATFORM", "ORDER_PLATFORM", "MAC"] });
    dut.offerBuffer();
    dut.receive(patterned(64));
    expect(dut.rx.collectUsed().map(({ usedLength }) => usedLength)).toEqual([76]);
    dut.send(patterned(65));
    expect(dut.sent().map(({ bytes }) => bytes)).toEqual([patterned(65)]);
  },
);

conformance(
  "Behind a translator a driver that does not accept ACCESS_PLATFORM gets no further",
  ["RFB-4"],
  {
    card: { translated: true },
  },
  (dut) => {
    expect(tryFeatures(dut, ["VERSION_1"])).toBe(false);
  },
);

conformance(
  "Memory that the driver's addresses reach as they are: ACCESS_PLATFORM is not offered",
  ["RFB-3"],
  (dut) => {
    expect(dut.isOffered("ACCESS_PLATFORM")).toBe(false);
  },
);

conformance("With IN_ORDER buffers are used in the order in which they were made available", ["RFB-5"], (dut) => {
  dut.bringUp({ features: ["IN_ORDER", "MAC", "MRG_RXBUF"], size: 8 });
  for (let round = 0; round < 5; round++) {
    const buffers = [300, 100, 200].map((length) => dut.offerBuffer(length));
    dut.receive(patterned(80), patterned(60), patterned(150));
    expect(dut.rx.collectUsed()).toEqual(buffers);
    const sent = [60, 61, 62, 63, 64].map((length) =>
      dut.tx.add([{ address: dut.ram.zeroed(12 + length), length: 12 + length }]),
    );
    dut.tx.kick();
    dut.poll();
    expect(dut.tx.collectUsed()).toEqual(sent);
  }
});
