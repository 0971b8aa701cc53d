/** Linux boots once for all tests: its state is kept in the cache, under a name that stands for all that it was made of. */

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { CACHE, type Ingredients } from "../debian/ingredients.ts";
import { buildInitramfs } from "../initramfs/initramfs.ts";
import { type BootImages, LinuxGuest, MACHINE_DEFAULTS, type MachineOptions } from "./linux-guest.ts";

export function bootImages(ingredients: Ingredients): BootImages {
  return { ingredients, initramfs: buildInitramfs(ingredients) };
}

/** State of a machine in which Linux waits for commands; it is booted if there is none in the cache. */
export async function bootedState(images: BootImages, options: MachineOptions): Promise<ArrayBuffer> {
  const file = stateFile(images, options);
  if (!existsSync(file)) {
    const guest = await LinuxGuest.boot(images, options);
    await guest.output("true");
    await guest.emulator.stop();
    const state = await guest.emulator.save_state();
    await guest.destroy();
    mkdirSync(join(CACHE, "states"), { recursive: true });
    writeFileSync(`${file}.partial`, new Uint8Array(state));
    renameSync(`${file}.partial`, file);
  }
  return new Uint8Array(readFileSync(file)).buffer;
}

function stateFile({ ingredients, initramfs }: BootImages, options: MachineOptions): string {
  const { acpi, netDevice, memoryMb, kernelWords } = { ...MACHINE_DEFAULTS, ...options };
  const { version } = createRequire(import.meta.url)("v86/package.json") as { version: string };
  const key = createHash("sha256")
    .update(JSON.stringify([version, acpi, netDevice, memoryMb, kernelWords]))
    .update(initramfs);
  for (const image of [ingredients.kernel, ingredients.bios, ingredients.vgaBios]) key.update(readFileSync(image));
  return join(CACHE, "states", `${ingredients.release}-${key.digest("hex").slice(0, 16)}`);
}
