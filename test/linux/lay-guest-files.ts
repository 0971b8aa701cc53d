/** What a scenario of kind "linux" names: kernel, initrd and BIOS, in one folder of the cache, under names without a version. */

import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE, fetchIngredients } from "./debian/ingredients.ts";
import { MissingIngredient } from "./debian/private-apt.ts";
import { buildInitramfs } from "./initramfs/initramfs.ts";

export const GUEST_FOLDER: string = join(CACHE, "guest");

/** Prints where the files are, or one line that says what is missing, with exit code 2. */
export function layGuestFiles(): void {
  try {
    const ingredients = fetchIngredients();
    mkdirSync(GUEST_FOLDER, { recursive: true });
    copyFileSync(ingredients.kernel, join(GUEST_FOLDER, "vmlinuz"));
    copyFileSync(ingredients.bios, join(GUEST_FOLDER, "bios.bin"));
    copyFileSync(ingredients.vgaBios, join(GUEST_FOLDER, "vgabios.bin"));
    writeFileSync(join(GUEST_FOLDER, "initrd"), buildInitramfs(ingredients));
    console.log(`Linux ${ingredients.release} is in ${GUEST_FOLDER}`);
  } catch (error) {
    if (!(error instanceof MissingIngredient)) throw error;
    console.error(`linux:fetch: ${error.message}`);
    process.exitCode = 2;
  }
}
