import { describe, expect, test } from "vitest";
import { ConfigSpace } from "../../../../src/device/net/config-space.ts";
import type { FeatureName } from "../../../../src/device/net/feature-table.ts";
import { FeatureNegotiation } from "../../../../src/device/net/features.ts";

const MAC = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];

function configOf(features = new FeatureNegotiation({ withhold: ["MQ", "RSS", "HASH_REPORT"] })): ConfigSpace {
  return new ConfigSpace(features, { mac: MAC, mtu: 1500, pairs: 1 });
}

test("holds mac, status, max_virtqueue_pairs and mtu at their places (§5.1.4)", () => {
  const config = configOf();
  const bytes = Array.from({ length: 12 }, (_, i) => config.read(i, 1));
  expect(bytes).toEqual([...MAC, 1, 0, 0, 0, 0xdc, 0x05]);
});

test("max_virtqueue_pairs exists with MQ or RSS, and what is told of RSS and hashes with theirs (§5.1.4, NCFG-7, NCFG-8)", () => {
  const fields = { mac: MAC, mtu: 1500, pairs: 5 };
  const read = (offer: FeatureName[], offset: number, width: number) =>
    new ConfigSpace(new FeatureNegotiation({ offer: ["VERSION_1", "CTRL_VQ", ...offer] }), fields).read(offset, width);
  expect([read([], 8, 2), read(["MQ"], 8, 2), read(["RSS"], 8, 2)]).toEqual([0, 5, 5]);
  expect([read([], 17, 1), read(["HASH_REPORT"], 17, 1), read(["RSS"], 17, 1)]).toEqual([0, 40, 40]);
  expect([read(["HASH_REPORT"], 18, 2), read(["RSS"], 18, 2)]).toEqual([0, 128]);
  expect([read(["MQ"], 20, 4), read(["HASH_REPORT"], 20, 4), read(["RSS"], 20, 4)]).toEqual([0, 0x1ff, 0x1ff]);
});

test("speed and duplex are unknown unless the embedder tells them (NCFG-11, NCFG-12)", () => {
  const fields = { mac: MAC, mtu: 1500, pairs: 1 };
  const read = (more: object) => {
    const config = new ConfigSpace(new FeatureNegotiation(), { ...fields, ...more });
    return [config.read(12, 4), config.read(16, 1)];
  };
  expect(read({})).toEqual([0xffffffff, 0xff]);
  expect(read({ speedMbps: 10_000, duplex: "full" })).toEqual([10_000, 1]);
  expect(read({ speedMbps: 0, duplex: "half" })).toEqual([0, 0]);
});

test("the driver's own address and its owed announcement show at once, and a reset takes both back", () => {
  const config = configOf();
  config.setMac(Uint8Array.of(9, 0x02, 1, 2, 3, 4, 5), 1);
  expect([config.read(0, 4), config.read(4, 2), config.generation]).toEqual([0x03020102, 0x0504, 1]);
  expect(config.setAnnouncing(true)).toBe(true);
  expect(config.setAnnouncing(true)).toBe(false);
  expect([config.read(6, 2), config.generation]).toEqual([3, 2]);
  config.reset();
  expect([config.read(0, 4), config.read(6, 2)]).toEqual([0x33221102, 1]);
});

test("reads at any width and offset, and 0 beyond the end", () => {
  const config = configOf();
  expect(config.read(0, 4)).toBe(0x33221102);
  expect(config.read(1, 2)).toBe(0x2211);
  expect(config.read(5, 4)).toBe(0x00000155);
  expect(config.read(10, 2)).toBe(1500);
  expect(config.read(10, 4)).toBe(0xffff05dc);
  expect(config.read(22, 4)).toBe(0);
  expect(config.read(24, 4)).toBe(0);
  expect(config.read(0xff, 1)).toBe(0);
});

test("a field whose feature is not offered reads 0", () => {
  const config = configOf(
    new FeatureNegotiation({ withhold: ["MAC", "STATUS", "MTU", "MQ", "RSS", "HASH_REPORT", "SPEED_DUPLEX"] }),
  );
  expect(config.read(0, 4)).toBe(0);
  expect(config.read(6, 2)).toBe(0);
  expect(config.read(10, 2)).toBe(0);
  expect(config.setLinkUp(false)).toBe(false);
  expect(config.generation).toBe(0);
});

test("a change of the link moves status and generation, and no change moves neither (MMIO-6)", () => {
  const config = configOf();
  expect(config.setLinkUp(true)).toBe(false);
  expect(config.generation).toBe(0);
  expect(config.setLinkUp(false)).toBe(true);
  expect(config.read(6, 2)).toBe(0);
  expect(config.generation).toBe(1);
  expect(config.setLinkUp(true)).toBe(true);
  expect(config.read(6, 2)).toBe(1);
  expect(config.generation).toBe(2);
});

describe("misuse", () => {
  const features = new FeatureNegotiation();
  test.each([67, 65536, 1500.5, Number.NaN])("an mtu of %d is refused (NCFG-2)", (mtu) => {
    expect(() => new ConfigSpace(features, { mac: MAC, mtu, pairs: 1 })).toThrow(
      /it must be an integer from 68 to 65535/,
    );
  });

  test.each([[[1, 2, 3]], [[2, 0, 0, 0, 0, 256]], [[2, 0, 0, 0, 0, 1.5]]])("a mac of %j is refused", (mac) => {
    expect(() => new ConfigSpace(features, { mac, mtu: 1500, pairs: 1 })).toThrow(/it must be 6 bytes/);
  });

  test("a group address is refused as a mac", () => {
    expect(() => new ConfigSpace(features, { mac: [1, 0, 0, 0, 0, 0], mtu: 1500, pairs: 1 })).toThrow(/group address/);
  });

  test.each([0, 0x8001, 1.5])("%d pairs are refused (NCFG-1)", (pairs) => {
    expect(() => new ConfigSpace(features, { mac: MAC, mtu: 1500, pairs })).toThrow(/pairs is .* from 1 to 32768/);
  });

  test.each([-1, 2 ** 31, 0.5])("a speed of %d Mbit/s is refused (NCFG-11)", (speedMbps) => {
    expect(() => new ConfigSpace(features, { mac: MAC, mtu: 1500, pairs: 1, speedMbps })).toThrow(/speedMbps is/);
  });

  test("the limits of the mtu are allowed", () => {
    for (const mtu of [68, 65535]) expect(new ConfigSpace(features, { mac: MAC, mtu, pairs: 1 }).read(10, 2)).toBe(mtu);
  });
});
