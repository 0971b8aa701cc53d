import { describe, expect, test } from "vitest";
import { ConfigSpace } from "../../../../src/device/net/config-space.ts";
import { FeatureNegotiation } from "../../../../src/device/net/features.ts";

const MAC = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];

function configOf(features = new FeatureNegotiation()): ConfigSpace {
  return new ConfigSpace(features, MAC, 1500, 1);
}

test("holds mac, status, max_virtqueue_pairs and mtu at their places (§5.1.4)", () => {
  const config = configOf();
  const bytes = Array.from({ length: 12 }, (_, i) => config.read(i, 1));
  expect(bytes).toEqual([...MAC, 1, 0, 1, 0, 0xdc, 0x05]);
});

test("reads at any width and offset, and 0 beyond the end", () => {
  const config = configOf();
  expect(config.read(0, 4)).toBe(0x33221102);
  expect(config.read(1, 2)).toBe(0x2211);
  expect(config.read(5, 4)).toBe(0x01000155);
  expect(config.read(10, 2)).toBe(1500);
  expect(config.read(10, 4)).toBe(1500);
  expect(config.read(12, 4)).toBe(0);
  expect(config.read(0xff, 1)).toBe(0);
});

test("a field whose feature is not offered reads 0", () => {
  const config = configOf(new FeatureNegotiation(["MAC", "STATUS", "MTU"]));
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
    expect(() => new ConfigSpace(features, MAC, mtu, 1)).toThrow(/it must be an integer from 68 to 65535/);
  });

  test.each([[[1, 2, 3]], [[2, 0, 0, 0, 0, 256]], [[2, 0, 0, 0, 0, 1.5]]])("a mac of %j is refused", (mac) => {
    expect(() => new ConfigSpace(features, mac, 1500, 1)).toThrow(/it must be 6 bytes/);
  });

  test("a group address is refused as a mac", () => {
    expect(() => new ConfigSpace(features, [1, 0, 0, 0, 0, 0], 1500, 1)).toThrow(/group address/);
  });

  test("the limits of the mtu are allowed", () => {
    for (const mtu of [68, 65535]) expect(new ConfigSpace(features, MAC, mtu, 1).read(10, 2)).toBe(mtu);
  });
});
