import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { FAULTS } from "spillway/device";
import { attachVirtioNet } from "spillway/v86";
import { V86 } from "v86";
import { describe, expect, inject, it } from "vitest";
import { fetchIpxe } from "./debian/ipxe.ts";
import { GUEST, STATION } from "./guest/test-guest.ts";
import { macBytes, pattern } from "./wire/packets.ts";
import { Station } from "./wire/station.ts";
import { TestWire } from "./wire/test-wire.ts";
import { TftpServer } from "./wire/tftp.ts";

const ingredients = inject("ingredients");
const BLOCKS = 400;
const TIMEOUT_MS = 120_000;

/** What iPXE does: its own address, a long file, then a script that only arrives if it arrived whole. */
const SCRIPT = `#!ipxe
set net0/ip ${GUEST.ip}
set net0/netmask 255.255.255.0
ifopen net0
imgfetch --name long tftp://${STATION.ip}/long.bin
chain tftp://${STATION.ip}/second.ipxe
`;
const SECOND = `#!ipxe
${"# so long that it takes several blocks\n".repeat(40)}
imgfetch tftp://${STATION.ip}/the-end
`;

/** A file, padded to whole words, which v86 takes kernels by. */
function buffer(path: string): { buffer: ArrayBuffer } {
  const bytes = readFileSync(path);
  const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  padded.set(bytes);
  return { buffer: padded.buffer };
}

describe.skipIf(ingredients === null).each(["io", "memory"] as const)("iPXE's own virtio driver (%s BAR)", (bar) => {
  it(
    "brings the card up, without MSI-X, event index or control queue, and loads files through it",
    async () => {
      const emulator = new V86({
        wasm_path: createRequire(import.meta.url).resolve("v86/build/v86.wasm"),
        bios: buffer(ingredients!.bios),
        vga_bios: buffer(ingredients!.vgaBios),
        bzimage: buffer(fetchIpxe()),
        initrd: { buffer: new TextEncoder().encode(SCRIPT).buffer },
        cmdline: "",
        // v86 puts an initrd at 64 MiB.
        memory_size: 128 << 20,
        vga_memory_size: 1 << 20,
        // "none" is not in the types of v86 0.5.462.
        net_device: { type: "none" as "virtio" },
        autostart: false,
        disable_speaker: true,
        disable_keyboard: true,
        disable_mouse: true,
      });
      await new Promise<void>((resolve) => emulator.add_listener("emulator-loaded", () => resolve()));
      const wire = new TestWire();
      const { card, wakeLoop } = attach(emulator, wire);
      wire.onWaiting = wakeLoop;
      const station = new Station(wire, STATION, GUEST);
      const server = new TftpServer(station, {
        "long.bin": pattern(BLOCKS * 512 - 100, 1),
        "second.ipxe": new TextEncoder().encode(SECOND),
      });
      const end = server.serveUntil("the-end", TIMEOUT_MS);
      void emulator.run();
      await end;
      expect(server.served).toEqual(["long.bin", "second.ipxe"]);
      expect(station.faults).toEqual([]);
      // It reads features in halves where registers lie in I/O space; nothing else is amiss.
      const others = FAULTS.filter(
        ({ name }, code) => name !== "register-access" && card.statistics.faultCount(code) > 0,
      );
      expect(others).toEqual([]);
      expect(card.statistics.queues[0]!.dropped).toBe(0);
      await emulator.destroy();
    },
    TIMEOUT_MS,
  );

  function attach(emulator: V86, port: TestWire) {
    const attached = attachVirtioNet(emulator, { port, mac: macBytes(GUEST.mac), bar });
    return { card: attached.card, wakeLoop: () => attached.wakeLoop() };
  }
});
