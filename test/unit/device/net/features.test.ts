import { describe, expect, test } from "vitest";
import { FAULTS } from "../../../../src/device/faults.ts";
import { FEATURES } from "../../../../src/device/net/feature-table.ts";
import { FeatureNegotiation } from "../../../../src/device/net/features.ts";
import { ALL_FEATURES, FEATURE_BIT, type Feature } from "../../../rings/card-machine.ts";

function words(names: readonly Feature[]): [number, number] {
  const result: [number, number] = [0, 0];
  for (const name of names) {
    const word = FEATURE_BIT[name] >>> 5;
    result[word] = (result[word]! | (1 << (FEATURE_BIT[name] & 31))) >>> 0;
  }
  return result;
}

/** Lets a driver accept `names`; gives the name of the fault. */
function settle(negotiation: FeatureNegotiation, names: readonly Feature[]): string {
  words(names).forEach((value, word) => {
    negotiation.accept(word, value);
  });
  return FAULTS[negotiation.settle()]!.name;
}

/** §5.1.3.1, and what it forgets. */
const NEEDS: Partial<Record<Feature, readonly Feature[]>> = {
  GUEST_TSO4: ["GUEST_CSUM"],
  GUEST_TSO6: ["GUEST_CSUM"],
  GUEST_UFO: ["GUEST_CSUM"],
  GUEST_USO4: ["GUEST_CSUM"],
  GUEST_USO6: ["GUEST_CSUM"],
  HOST_TSO4: ["CSUM"],
  HOST_TSO6: ["CSUM"],
  HOST_UFO: ["CSUM"],
  HOST_USO: ["CSUM"],
  CTRL_RX: ["CTRL_VQ"],
  CTRL_RX_EXTRA: ["CTRL_VQ"],
  CTRL_VLAN: ["CTRL_VQ"],
  CTRL_GUEST_OFFLOADS: ["CTRL_VQ"],
  GUEST_ANNOUNCE: ["CTRL_VQ"],
  MQ: ["CTRL_VQ"],
  CTRL_MAC_ADDR: ["CTRL_VQ"],
  NOTF_COAL: ["CTRL_VQ"],
  VQ_NOTF_COAL: ["CTRL_VQ"],
  RSS: ["CTRL_VQ"],
  HASH_REPORT: ["CTRL_VQ"],
  DEVICE_STATS: ["CTRL_VQ"],
};
/** One of the two is enough. */
const NEEDS_EITHER: Partial<Record<Feature, readonly [Feature, Feature]>> = {
  GUEST_ECN: ["GUEST_TSO4", "GUEST_TSO6"],
  HOST_ECN: ["HOST_TSO4", "HOST_TSO6"],
};
const NONE_NEEDED = ALL_FEATURES.filter((name) => NEEDS[name] === undefined && NEEDS_EITHER[name] === undefined);

/** `names` and all that they need, the first of two where one is enough. */
function completed(names: readonly Feature[]): Feature[] {
  const result = new Set<Feature>(["VERSION_1", ...names]);
  for (let before = 0; before !== result.size; ) {
    before = result.size;
    for (const name of [...result]) {
      for (const need of NEEDS[name] ?? []) result.add(need);
      const either = NEEDS_EITHER[name];
      if (either !== undefined && !either.some((one) => result.has(one))) result.add(either[0]);
    }
  }
  return [...result];
}

describe("the offered set", () => {
  test("has every feature at its bit, VERSION_1 included (RFB-1, FEAT-4)", () => {
    const negotiation = new FeatureNegotiation({ offer: ALL_FEATURES });
    expect([negotiation.offeredWord(0), negotiation.offeredWord(1)]).toEqual(words(ALL_FEATURES));
    expect(negotiation.offeredWord(2)).toBe(0);
    expect(negotiation.offeredWord(0xffffffff)).toBe(0);
    expect(Object.fromEntries(FEATURES.map(({ name, bit }) => [name, bit]))).toEqual(FEATURE_BIT);
    expect(new FeatureNegotiation().isOffered(FEATURE_BIT.VERSION_1)).toBe(true);
  });

  test("leaves out STANDBY and NOTIF_CONFIG_DATA unless they are asked for", () => {
    const bits = (negotiation: FeatureNegotiation) =>
      [FEATURE_BIT.STANDBY, FEATURE_BIT.NOTIF_CONFIG_DATA].map((b) => negotiation.isOffered(b));
    expect(bits(new FeatureNegotiation())).toEqual([false, false]);
    expect(bits(new FeatureNegotiation({ extra: ["STANDBY", "NOTIF_CONFIG_DATA"] }))).toEqual([true, true]);
    const negotiation = new FeatureNegotiation();
    negotiation.offerFromTransport("NOTIF_CONFIG_DATA");
    expect(bits(negotiation)).toEqual([false, true]);
    const withheld = new FeatureNegotiation({ withhold: ["NOTIF_CONFIG_DATA"] });
    withheld.offerFromTransport("NOTIF_CONFIG_DATA");
    const exact = new FeatureNegotiation({ offer: ["VERSION_1"] });
    exact.offerFromTransport("NOTIF_CONFIG_DATA");
    expect([...bits(withheld), ...bits(exact)]).toEqual([false, false, false, false]);
  });

  test("leaves out what is withheld, and whatever needs it, that too (FEAT-1)", () => {
    const all = new FeatureNegotiation();
    for (const withheld of ALL_FEATURES.filter((name) => name !== "VERSION_1")) {
      const negotiation = new FeatureNegotiation({ withhold: [withheld] });
      const left = ALL_FEATURES.filter(
        (name) => all.isOffered(FEATURE_BIT[name]) && !completed([name]).includes(withheld),
      );
      // Of HOST_ECN and GUEST_ECN one of two remains.
      for (const [name, either] of Object.entries(NEEDS_EITHER) as [Feature, [Feature, Feature]][]) {
        const stays = either.some((one) => left.includes(one)) && name !== withheld && all.isOffered(FEATURE_BIT[name]);
        if (stays && !left.includes(name)) left.push(name);
      }
      expect([negotiation.offeredWord(0), negotiation.offeredWord(1)], withheld).toEqual(words(left));
    }
  });

  test("cannot be without VERSION_1, or have what does not exist, cannot be had, or lacks what it needs", () => {
    expect(() => new FeatureNegotiation({ withhold: ["VERSION_1"] })).toThrow(/VERSION_1 must be offered/);
    expect(() => new FeatureNegotiation({ offer: ["MAC"] })).toThrow(/VERSION_1 must be offered/);
    for (const option of ["withhold", "extra", "offer"]) {
      const options = { [option]: ["VERSION_1", "RSC_EXT"] };
      if (option === "withhold") options[option] = ["RSC_EXT"];
      expect(() => new FeatureNegotiation(options)).toThrow(/no such feature RSC_EXT; allowed are CSUM, GUEST_CSUM/);
    }
    const unavailable = new Map([["MQ" as const, "pairs is 1"]]);
    const mq = ["VERSION_1", "CTRL_VQ", "MQ"] as const;
    expect(() => new FeatureNegotiation({ offer: mq, unavailable })).toThrow(/MQ cannot be offered: pairs is 1/);
    expect(() => new FeatureNegotiation({ extra: ["MQ"], unavailable })).toThrow(/MQ cannot be offered: pairs is 1/);
    expect(() => new FeatureNegotiation({ offer: mq, withhold: ["MAC"] })).toThrow(/offer alone/);
  });

  test("that lacks what one of its features needs is refused, for every pair of features", () => {
    for (const [name, needs] of Object.entries(NEEDS) as [Feature, Feature[]][]) {
      for (const need of needs) {
        const offer = completed([name]).filter((other) => other !== need);
        expect(() => new FeatureNegotiation({ offer }), `${name} without ${need}`).toThrow(RangeError);
      }
    }
    for (const [name, [first]] of Object.entries(NEEDS_EITHER) as [Feature, [Feature, Feature]][]) {
      const offer = completed([name]).filter((other) => other !== first);
      expect(() => new FeatureNegotiation({ offer }), name).toThrow(/needs \w+ or \w+/);
    }
  });
});

describe("the driver's answer", () => {
  // Behind a translator ACCESS_PLATFORM has to be accepted, which is a test of its own.
  const offer = ALL_FEATURES.filter((name) => name !== "ACCESS_PLATFORM") as Feature[];

  test("any two features with all that they need are accepted, and without one of it refused (FEAT-2)", () => {
    for (const first of offer) {
      for (const second of offer) {
        const names = completed([first, second]);
        expect(settle(new FeatureNegotiation({ offer }), names), `${first} ${second}`).toBe("none");
        for (const left of NEEDS[first] ?? NEEDS_EITHER[first] ?? []) {
          const broken = names.filter((name) => name !== left);
          if (NEEDS_EITHER[first]?.some((one) => broken.includes(one))) continue;
          expect(settle(new FeatureNegotiation({ offer }), broken), `${first} without ${left}`).toBe(
            "features-refused",
          );
        }
      }
    }
  });

  test("what needs nothing is accepted alone", () => {
    for (const name of NONE_NEEDED.filter((feature) => offer.includes(feature))) {
      expect(settle(new FeatureNegotiation({ offer }), ["VERSION_1", name]), name).toBe("none");
    }
  });

  test("without ACCESS_PLATFORM is refused where it was offered: no address would be understood (RFB-3)", () => {
    const all = () => new FeatureNegotiation({ offer: ALL_FEATURES });
    expect(settle(all(), ["VERSION_1", "MAC"])).toBe("features-refused");
    expect(settle(all(), ["VERSION_1", "ACCESS_PLATFORM"])).toBe("none");
  });

  test("a set without VERSION_1 is refused (RFB-2)", () => {
    expect(settle(new FeatureNegotiation({ offer }), ["MAC"])).toBe("features-refused");
    expect(settle(new FeatureNegotiation({ offer }), [])).toBe("features-refused");
  });

  test("a feature that was not offered is refused, in any word (FEAT-3)", () => {
    const withheld = new FeatureNegotiation({ withhold: ["MTU", "ACCESS_PLATFORM"] });
    expect(settle(withheld, ["VERSION_1", "MTU"])).toBe("features-refused");
    const beyond = new FeatureNegotiation({ offer });
    beyond.accept(2, 1);
    expect(settle(beyond, ["VERSION_1"])).toBe("features-refused");
    const far = new FeatureNegotiation({ offer });
    far.accept(0xffffffff, 0);
    expect(settle(far, ["VERSION_1"])).toBe("none");
  });

  test("counts only once it is settled, and cannot be changed then", () => {
    const negotiation = new FeatureNegotiation({ offer });
    negotiation.accept(1, words(["VERSION_1"])[1]);
    expect(negotiation.has(FEATURE_BIT.VERSION_1)).toBe(false);
    expect(negotiation.settle()).toBe(0);
    expect(negotiation.has(FEATURE_BIT.VERSION_1)).toBe(true);
    expect(negotiation.has(FEATURE_BIT.MAC)).toBe(false);
    expect(FAULTS[negotiation.accept(0, 1 << FEATURE_BIT.MAC)]!.name).toBe("features-late");
    expect(negotiation.acceptedWord(0)).toBe(0);
  });

  test("after a reset the same set is accepted again (FEAT-5)", () => {
    const negotiation = new FeatureNegotiation({ offer });
    expect(settle(negotiation, offer)).toBe("none");
    negotiation.reset();
    expect(negotiation.has(FEATURE_BIT.MAC)).toBe(false);
    expect(negotiation.acceptedWord(0)).toBe(0);
    expect(settle(negotiation, offer)).toBe("none");
  });
});
