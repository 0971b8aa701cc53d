/** What a scenario of kind "linux" names: kernel, initrd and BIOS, in one folder of the cache, under names without a version. */

import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE, fetchIngredients, type Ingredients } from "./debian/ingredients.ts";
import { MissingIngredient } from "./debian/private-apt.ts";
import { buildInitramfs } from "./initramfs/initramfs.ts";

/** Lays the files; returns their folder. */
export function layGuestFiles(ingredients: Ingredients): string {
  const folder = join(CACHE, "guest");
  mkdirSync(folder, { recursive: true });
  copyFileSync(ingredients.kernel, join(folder, "vmlinuz"));
  copyFileSync(ingredients.bios, join(folder, "bios.bin"));
  copyFileSync(ingredients.vgaBios, join(folder, "vgabios.bin"));
  writeFileSync(join(folder, "initrd"), buildInitramfs(ingredients));
  return folder;
}

/** `npm run linux:fetch`: prints where the files are, or one line that says what is missing, with exit code 2. */
export function fetchGuestFiles(): void {
  try {
    const ingredients = fetchIngredients();
    console.log(`Linux ${ingredients.release} is in ${layGuestFiles(ingredients)}`);
  } catch (error) {
    if (!(error instanceof MissingIngredient)) throw error;
    console.error(`linux:fetch: ${error.message}`);
    process.exitCode = 2;
  }
}
