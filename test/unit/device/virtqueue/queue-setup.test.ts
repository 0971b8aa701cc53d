import { expect, test } from "vitest";
import { AREA_DESC, AREA_DEVICE, AREA_DRIVER, QueueSetup } from "../../../../src/device/virtqueue/queue-setup.ts";

test("an address is put together from its halves, in any order", () => {
  const setup = new QueueSetup(256);
  setup.setHigh(AREA_DRIVER, 1);
  setup.setLow(AREA_DRIVER, 0xfffffff0);
  setup.setLow(AREA_DEVICE, 0x1000);
  expect(setup.address(AREA_DRIVER)).toBe(0x1_ffff_fff0);
  expect(setup.address(AREA_DEVICE)).toBe(0x1000);
  expect(setup.address(AREA_DESC)).toBe(0);
});

test("a reset goes back to the largest size and no addresses", () => {
  const setup = new QueueSetup(256);
  setup.size = 8;
  setup.setLow(AREA_DESC, 16);
  setup.setHigh(AREA_DESC, 1);
  setup.reset();
  expect(setup.size).toBe(256);
  expect(setup.address(AREA_DESC)).toBe(0);
});
