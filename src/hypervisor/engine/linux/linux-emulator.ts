/** A PC in v86, with the files of a scenario: the same parts whether it boots or goes on from a saved state. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { V86 } from "v86";
import type { LinuxSpec } from "../../scenario/scenario.ts";

const MIB = 1 << 20;

/** The emulator, loaded and stopped. */
export async function makeLinuxEmulator(spec: LinuxSpec): Promise<V86> {
  const emulator = new V86({
    wasm_path: createRequire(import.meta.url).resolve("v86/build/v86.wasm"),
    bios: image(spec.bios),
    vga_bios: image(spec.vgaBios),
    bzimage: image(spec.kernel),
    initrd: image(spec.initrd),
    // The kernel speaks on the second serial port, its first process on the first. After a panic it stands still.
    cmdline: `console=ttyS1,115200 loglevel=5 panic=0 ${spec.kernelWords}`,
    memory_size: spec.memoryMb * MIB,
    vga_memory_size: MIB,
    // "none" is not in the types of v86 0.5.462.
    net_device: { type: "none" as "virtio" },
    uart1: true,
    autostart: false,
    disable_speaker: true,
    disable_keyboard: true,
    disable_mouse: true,
  });
  await new Promise<void>((resolve) => emulator.add_listener("emulator-loaded", () => resolve()));
  return emulator;
}

function image(path: string): { buffer: ArrayBuffer } {
  return { buffer: new Uint8Array(readFileSync(path)).buffer };
}
