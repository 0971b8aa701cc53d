import { beforeEach, describe, expect, test } from "vitest";
import { FAULTS } from "../../../../src/device/faults.ts";
import { DeviceStatus } from "../../../../src/device/net/device-status.ts";
import { FeatureNegotiation } from "../../../../src/device/net/features.ts";
import { FEATURE_BIT } from "../../../rings/card-machine.ts";

const ACK = 1;
const DRIVER = 2;
const DRIVER_OK = 4;
const FEATURES_OK = 8;
const SUSPEND = 16;
const DEVICE_NEEDS_RESET = 64;
const FAILED = 128;
const RUNNING = ACK | DRIVER | FEATURES_OK | DRIVER_OK;

// Transitions, retyped.
const NONE = 0;
const RESET = 1;
const START = 2;
const SUSPENDED = 3;
const RESUME = 4;
const STOP = 5;

let features: FeatureNegotiation;
let status: DeviceStatus;

beforeEach(() => {
  features = new FeatureNegotiation();
  features.accept(1, (1 << (FEATURE_BIT.VERSION_1 - 32)) | (1 << (FEATURE_BIT.SUSPEND - 32)));
  status = new DeviceStatus(features);
});

function fault(): string {
  return FAULTS[status.fault]!.name;
}

function run(): void {
  status.write(ACK);
  status.write(ACK | DRIVER);
  status.write(ACK | DRIVER | FEATURES_OK);
  expect(status.write(RUNNING)).toBe(START);
}

test("the bits of §3.1.1 are set one after the other, and DRIVER_OK starts the device", () => {
  run();
  expect(status.value).toBe(RUNNING);
  expect(status.live).toBe(true);
  expect(fault()).toBe("none");
});

test("one write may set them all", () => {
  expect(status.write(RUNNING)).toBe(START);
  expect(status.value).toBe(RUNNING);
});

test("starting twice is starting once", () => {
  run();
  expect(status.write(RUNNING)).toBe(NONE);
});

test("writing 0 resets, whatever the state (RESET-1)", () => {
  expect(status.write(0)).toBe(RESET);
  run();
  status.needReset();
  expect(status.write(0)).toBe(RESET);
  expect(status.value).toBe(0);
});

describe("bits out of order", () => {
  test.each([
    ["DRIVER without ACKNOWLEDGE", DRIVER, 0],
    ["FEATURES_OK without DRIVER", ACK | FEATURES_OK, ACK],
    ["DRIVER_OK without FEATURES_OK", ACK | DRIVER | DRIVER_OK, ACK | DRIVER],
  ])("%s is not set", (_, written, value) => {
    expect(status.write(written)).toBe(NONE);
    expect(status.value).toBe(value);
    expect(fault()).toBe("status");
  });

  test("a refused set of features leaves FEATURES_OK clear, and DRIVER_OK with it (FEAT-3)", () => {
    features.accept(0, 1 << 4);
    expect(status.write(RUNNING)).toBe(NONE);
    expect(status.value).toBe(ACK | DRIVER);
    features.accept(0, 0);
    expect(status.write(RUNNING)).toBe(START);
  });

  test("bits cannot be cleared by the driver (§2.1.1)", () => {
    run();
    expect(status.write(ACK | DRIVER)).toBe(NONE);
    expect(status.value).toBe(RUNNING);
    expect(fault()).toBe("status");
    expect(status.write(RUNNING & ~DRIVER_OK)).toBe(NONE);
    expect(status.value).toBe(RUNNING);
    expect(fault()).toBe("status");
  });

  test("DEVICE_NEEDS_RESET is the device's own, and unknown bits are nobody's", () => {
    status.write(ACK | DEVICE_NEEDS_RESET | 32 | 0xffff00);
    expect(status.value).toBe(ACK);
  });
});

describe("DEVICE_NEEDS_RESET and FAILED", () => {
  test("end the use of buffers, until a reset (STATUS-2)", () => {
    run();
    status.needReset();
    expect(status.value).toBe(RUNNING | DEVICE_NEEDS_RESET);
    expect(status.live).toBe(false);
    expect(status.owesResetNotice).toBe(true);
    expect(status.write(RUNNING)).toBe(NONE);
    expect(status.write(RUNNING | SUSPEND)).toBe(NONE);
    expect(status.live).toBe(false);
  });

  test("the driver is told only once it has set DRIVER_OK (STATUS-3)", () => {
    status.write(ACK);
    status.needReset();
    expect(status.owesResetNotice).toBe(false);
  });

  test("FAILED stops the device", () => {
    run();
    expect(status.write(RUNNING | FAILED)).toBe(STOP);
    expect(status.live).toBe(false);
    expect(status.write(RUNNING | FAILED)).toBe(NONE);
  });
});

describe("SUSPEND", () => {
  test("reads back as set, with DRIVER_OK clear, and DRIVER_OK resumes (SUSPEND-6, SUSPEND-7)", () => {
    run();
    expect(status.write(RUNNING | SUSPEND)).toBe(SUSPENDED);
    expect(status.value).toBe((RUNNING & ~DRIVER_OK) | SUSPEND);
    expect(status.live).toBe(false);
    expect(status.suspended).toBe(true);
    expect(status.write(status.value | DRIVER_OK)).toBe(RESUME);
    expect(status.value).toBe(RUNNING);
  });

  test("ends as well when the driver writes DRIVER_OK without it", () => {
    run();
    status.write(RUNNING | SUSPEND);
    expect(status.write(RUNNING)).toBe(RESUME);
    expect(fault()).toBe("none");
  });

  test("lasts when the driver clears it and nothing else", () => {
    run();
    status.write(RUNNING | SUSPEND);
    expect(status.write(RUNNING & ~DRIVER_OK)).toBe(NONE);
    expect(status.suspended).toBe(true);
  });

  test("is ignored before DRIVER_OK, and the rest of the write is not (SUSPEND-1)", () => {
    expect(status.write(RUNNING | SUSPEND)).toBe(START);
    expect(status.value).toBe(RUNNING);
    expect(fault()).toBe("status");
  });

  test("is ignored if the feature was not negotiated", () => {
    features.accept(1, 1 << (FEATURE_BIT.VERSION_1 - 32));
    run();
    expect(status.write(RUNNING | SUSPEND)).toBe(NONE);
    expect(status.value).toBe(RUNNING);
    expect(fault()).toBe("status");
  });
});
