import { describe, expect, test } from "vitest";
import { FAULTS } from "../../../../src/device/faults.ts";
import { FEATURES, FeatureNegotiation } from "../../../../src/device/net/features.ts";
import { ALL_FEATURES, BIT, type Feature } from "../../../rings/card-machine.ts";

function words(names: readonly Feature[]): [number, number] {
  const result: [number, number] = [0, 0];
  for (const name of names) {
    const word = BIT[name] >>> 5;
    result[word] = (result[word]! | (1 << (BIT[name] & 31))) >>> 0;
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

describe("the offered set", () => {
  test("is what the card can do, VERSION_1 included (RFB-1, FEAT-4)", () => {
    const negotiation = new FeatureNegotiation();
    expect([negotiation.offeredWord(0), negotiation.offeredWord(1)]).toEqual(words(ALL_FEATURES));
    expect(negotiation.offeredWord(2)).toBe(0);
    expect(negotiation.offeredWord(0xffffffff)).toBe(0);
    expect(Object.fromEntries(FEATURES.map(({ name, bit }) => [name, bit]))).toEqual(BIT);
  });

  test("leaves out what is withheld, and whatever needs it (FEAT-1)", () => {
    const negotiation = new FeatureNegotiation(["CTRL_VQ", "MTU"]);
    const left = ALL_FEATURES.filter((name) => !["CTRL_VQ", "NOTF_COAL", "VQ_NOTF_COAL", "MTU"].includes(name));
    expect([negotiation.offeredWord(0), negotiation.offeredWord(1)]).toEqual(words(left));
  });

  test("VERSION_1 cannot be withheld, nor what does not exist", () => {
    expect(() => new FeatureNegotiation(["VERSION_1"])).toThrow(/VERSION_1 must be offered/);
    expect(() => new FeatureNegotiation(["CSUM" as Feature])).toThrow(/no such feature CSUM; allowed are MTU, MAC/);
  });
});

describe("the driver's answer", () => {
  test("every subset with VERSION_1 and its dependencies is accepted (FEAT-2)", () => {
    const others = ALL_FEATURES.filter((name) => name !== "VERSION_1");
    for (let set = 0; set < 1 << others.length; set++) {
      const names = others.filter((_, i) => (set >>> i) & 1);
      const complete = names.includes("CTRL_VQ") || !(names.includes("NOTF_COAL") || names.includes("VQ_NOTF_COAL"));
      const result = settle(new FeatureNegotiation(), ["VERSION_1", ...names]);
      if (result !== (complete ? "none" : "features-refused")) throw new Error(`${names.join(" ")}: ${result}`);
    }
  });

  test("a set without VERSION_1 is refused (RFB-2)", () => {
    expect(settle(new FeatureNegotiation(), ["MAC"])).toBe("features-refused");
    expect(settle(new FeatureNegotiation(), [])).toBe("features-refused");
  });

  test("a feature that was not offered is refused, in any word (FEAT-3)", () => {
    const withheld = new FeatureNegotiation(["MTU"]);
    expect(settle(withheld, ["VERSION_1", "MTU"])).toBe("features-refused");
    const beyond = new FeatureNegotiation();
    beyond.accept(2, 1);
    expect(settle(beyond, ["VERSION_1"])).toBe("features-refused");
    const far = new FeatureNegotiation();
    far.accept(0xffffffff, 0);
    expect(settle(far, ["VERSION_1"])).toBe("none");
  });

  test("counts only once it is settled, and cannot be changed then", () => {
    const negotiation = new FeatureNegotiation();
    negotiation.accept(1, words(["VERSION_1"])[1]);
    expect(negotiation.has(BIT.VERSION_1)).toBe(false);
    expect(negotiation.settle()).toBe(0);
    expect(negotiation.has(BIT.VERSION_1)).toBe(true);
    expect(negotiation.has(BIT.MAC)).toBe(false);
    expect(FAULTS[negotiation.accept(0, 1 << BIT.MAC)]!.name).toBe("features-late");
    expect(negotiation.acceptedWord(0)).toBe(0);
  });

  test("after a reset the same set is accepted again (FEAT-5)", () => {
    const negotiation = new FeatureNegotiation();
    expect(settle(negotiation, ALL_FEATURES)).toBe("none");
    negotiation.reset();
    expect(negotiation.has(BIT.MAC)).toBe(false);
    expect(negotiation.acceptedWord(0)).toBe(0);
    expect(settle(negotiation, ALL_FEATURES)).toBe("none");
  });
});
