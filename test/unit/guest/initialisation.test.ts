import { describe, expect, it } from "vitest";
import { ALL_FEATURES, bit, FEATURE } from "./fake-device.ts";
import { makeLiveMachine, makeMachine } from "./machine.ts";

const FAILED = 128;

describe("bringing a device up", () => {
  it("touches the registers in the order and with the widths of virtio 1.4 §3.1.1, §4.2.2.2 and §4.2.3", () => {
    const { device, driver } = makeMachine();
    expect(driver.initialise()).toBe(true);
    const queue = (index: number, size: string): string[] => {
      const { desc, driver: avail, device: used } = device.queues[index]!;
      return [
        `W 030/4 = ${index}`, // QueueSel
        "R 044/4", //            QueueReady, expected 0
        "R 034/4", //            QueueSizeMax
        `W 038/4 = ${size}`, //  QueueSize
        `W 080/4 = ${desc.toString(16)}`,
        "W 084/4 = 0",
        `W 090/4 = ${avail.toString(16)}`,
        "W 094/4 = 0",
        `W 0a0/4 = ${used.toString(16)}`,
        "W 0a4/4 = 0",
        "W 044/4 = 1", //        QueueReady
      ];
    };
    expect(device.log).toEqual([
      "R 000/4", // MagicValue
      "R 004/4", // Version
      "R 008/4", // DeviceID
      "W 070/4 = 0", // reset…
      "R 070/4", // …complete when Status reads 0
      "W 070/4 = 1", // ACKNOWLEDGE
      "W 070/4 = 3", // DRIVER
      "W 014/4 = 0", // DeviceFeaturesSel before each DeviceFeatures
      "R 010/4",
      "W 014/4 = 1",
      "R 010/4",
      "W 024/4 = 0", // DriverFeaturesSel before each DriverFeatures
      "W 020/4 = 30038028",
      "W 024/4 = 1",
      "W 020/4 = 300001",
      "W 070/4 = b", // FEATURES_OK
      "R 070/4", // still set?
      "R 0fc/4", // ConfigGeneration before…
      ...[0, 1, 2, 3, 4, 5].map((i) => `R 10${i}/1`), // mac
      "R 106/2", // status
      "R 10a/2", // mtu
      "R 0fc/4", // …and after
      ...queue(0, "10"),
      ...queue(1, "10"),
      ...queue(2, "4"),
      "W 070/4 = f", // DRIVER_OK
      "R 070/4", // it is live now
      "W 050/4 = 0", // not before DRIVER_OK: receive buffers are there
    ]);
    expect([...driver.mac]).toEqual([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    expect(driver.linkUp).toBe(true);
    expect(driver.frameBytesMax).toBe(1514);
    expect(driver.freeToCard).toBe(16);
  });

  it("aligns the queue areas as §2.7 demands, in memory that it has zeroed", () => {
    const { device } = makeLiveMachine({ ring: 32 });
    for (const queue of device.queues) {
      expect(queue.desc % 16).toBe(0);
      expect(queue.driver % 2).toBe(0);
      expect(queue.device % 4).toBe(0);
      expect(device.view.getUint16(queue.device, true)).toBe(0);
      expect(device.view.getUint16(queue.device + 2, true)).toBe(0);
    }
  });

  it("does not touch a device whose magic value or version is wrong, and says which", () => {
    const wrongMagic = makeMachine();
    wrongMagic.device.magic = 0x12345678;
    expect(() => wrongMagic.driver.initialise()).toThrow(/MagicValue is 0x12345678/);
    expect(wrongMagic.device.log).toEqual(["R 000/4"]);

    const legacy = makeMachine();
    legacy.device.version = 1;
    expect(() => legacy.driver.initialise()).toThrow(/version 1/);
    expect(legacy.device.log).toEqual(["R 000/4", "R 004/4"]);
  });

  it("takes device id 0 for an empty place: no error, no further access", () => {
    const { device, driver } = makeMachine();
    device.deviceId = 0;
    expect(driver.initialise()).toBe(false);
    expect(device.log).toEqual(["R 000/4", "R 004/4", "R 008/4"]);
  });

  it("reads the configuration again if its generation changed meanwhile", () => {
    const { device, driver } = makeMachine();
    device.configChanges = 3;
    driver.initialise();
    expect(device.log.filter((entry) => entry === "R 0fc/4").length).toBe(3);
    expect(device.log.filter((entry) => entry === "R 10a/2").length).toBe(2);
  });

  it("sets FAILED and stops when the device refuses the features", () => {
    const { device, driver } = makeMachine();
    device.refuseFeatures = true;
    expect(() => driver.initialise()).toThrow(/refuses the features/);
    expect(device.status & FAILED).toBe(FAILED);
    expect(device.log.at(-1)).toBe("W 070/4 = 8b");
  });

  it.each([
    ["VERSION_1 is not offered", { offered: ALL_FEATURES & ~FEATURE.version1 }, /VERSION_1/],
    ["the device needs a reset at once", { needsReset: true }, /needs a reset/],
    ["there is no transmit queue", { queueCount: 1 }, /no queue 1/],
    ["the configuration never stands still", { configChanges: 1e9 }, /changes under every read/],
  ])("sets FAILED when %s", (_, fields, message) => {
    const { device, driver } = makeMachine();
    Object.assign(device, fields);
    expect(() => driver.initialise()).toThrow(message);
    expect(device.status & FAILED).toBe(FAILED);
    expect(device.notified).toEqual([]);
  });

  it("accepts no feature that it does not know, or was told to drop, or that lacks the one it needs", () => {
    const unknown = makeLiveMachine({}, ALL_FEATURES | bit(0) | bit(22) | bit(34) | bit(43) | bit(63));
    expect(unknown.device.accepted).toBe(ALL_FEATURES);

    const dropped = makeLiveMachine({ dropFeatures: [17, 29] });
    expect(dropped.device.accepted).toBe(
      ALL_FEATURES & ~(FEATURE.ctrlVq | FEATURE.eventIdx | FEATURE.notfCoal | FEATURE.vqNotfCoal),
    );
    expect(dropped.device.queues[2]!.ready).toBe(0);
  });

  it("reads only configuration fields whose feature it accepted, and assumes the rest", () => {
    const { device, driver } = makeLiveMachine({ mtu: 1000 }, FEATURE.version1);
    expect(device.log.some((entry) => entry.startsWith("R 10"))).toBe(false);
    expect(driver.mac[0]! & 3).toBe(2); // locally administered, unicast
    expect(driver.linkUp).toBe(true);
    expect(driver.frameBytesMax).toBe(1014);
  });

  it("uses the smaller of its own and the device's queue size, and of the MTUs", () => {
    const { device, driver } = makeMachine({ ring: 64, mtu: 9000 });
    device.queueSizeMax = 24;
    driver.initialise();
    expect(device.receive.size).toBe(16);
    expect(driver.freeToCard).toBe(16);
    expect(driver.frameBytesMax).toBe(1514);
  });

  it("populates buffers for the device's MTU without MRG_RXBUF, and says so if guest RAM is too small for them", () => {
    const { device, driver } = makeMachine({ ring: 16, mtu: 1500, dropFeatures: [15] });
    new DataView(device.config.buffer).setUint16(10, 9000, true);
    expect(() => driver.initialise()).toThrow(/bytes of guest RAM/);
    expect(device.status & FAILED).toBe(FAILED);

    const small = makeLiveMachine({ ring: 16, mtu: 1500, dropFeatures: [15] });
    expect(small.device.receive.chain(0)[0]!.bytes).toBeGreaterThanOrEqual(1526);
  });

  it("can be removed and brought up again", () => {
    const { device, driver, collector } = makeLiveMachine();
    device.deliver(new Uint8Array(60));
    driver.interrupt(1);
    driver.poll(64);
    driver.remove();
    expect(device.status).toBe(0);
    expect(() => driver.poll(1)).toThrow(/not initialised/);
    expect(driver.initialise()).toBe(true);
    device.deliver(new Uint8Array(61));
    driver.interrupt(1);
    driver.poll(64);
    expect(collector.frames.map((frame) => frame.length)).toEqual([60, 61]);
  });

  it("refuses options that no driver can be made of", () => {
    expect(() => makeMachine({ ring: 48 })).toThrow(/power of two/);
    expect(() => makeMachine({ mtu: 20 })).toThrow(/mtu is 68 to 65535/);
    expect(() => makeMachine({ refillBatch: 0 })).toThrow(/refillBatch/);
    expect(() => makeMachine({ mergeableBufferBytes: 1530 })).toThrow(/multiple of 8/);
  });
});
