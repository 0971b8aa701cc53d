import { attachVirtioNet } from "spillway/v86";
import { describe, expect, inject, it } from "vitest";
import { bootImages } from "./guest/booted-state.ts";
import { LinuxGuest } from "./guest/linux-guest.ts";
import { GUEST, STATION } from "./guest/test-guest.ts";
import { macBytes } from "./wire/packets.ts";
import { Station } from "./wire/station.ts";
import { TestWire } from "./wire/test-wire.ts";

const ingredients = inject("ingredients");

const WAYS = [
  { title: "registers in I/O space, INTx", bar: "io", msix: false },
  { title: "registers in memory, MSI-X", bar: "memory", msix: true },
] as const;

describe.skipIf(ingredients === null)("a machine that boots with the card in it", () => {
  it.each(WAYS.map((way) => [way.title, way] as const))("has it set up by its BIOS, and found by Linux: %s", async (_, {
    bar,
    msix,
  }) => {
    const wire = new TestWire();
    const station = new Station(wire, STATION, GUEST);
    // v86 has not the registers of the hot-plug controller that the BIOS's ACPI tables tell of: all ones there say that
    // every card was pulled out.
    const machine = { acpi: msix, kernelWords: "acpiphp.disable=1" };
    const guest = await LinuxGuest.boot(bootImages(ingredients!), machine, (emulator) => {
      const attached = attachVirtioNet(emulator, { port: wire, mac: macBytes(GUEST.mac), bar, msix });
      wire.onWaiting = () => attached.wakeLoop();
    });
    try {
      await guest.output(`ip addr add ${GUEST.ip}/24 dev eth0 && ip link set eth0 up`);
      for (const length of [0, 1000, 20_000]) expect(await station.ping(length)).toBe(true);
      expect((await guest.output("grep virtio /proc/interrupts")).split("\n")).toHaveLength(msix ? 3 : 1);
      expect([...guest.kernelLog.complaints, ...station.faults]).toEqual([]);
    } finally {
      await guest.destroy();
    }
  });
});
