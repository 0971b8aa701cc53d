/** Before any test of the Linux suite: fetches what it needs, and boots what its tests go on from. */

import type { TestProject } from "vitest/node";
import { bootedState, bootImages } from "../guest/booted-state.ts";
import { fetchIngredients, type Ingredients } from "./ingredients.ts";
import { MissingIngredient } from "./private-apt.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Null if something is missing. */
    ingredients: Ingredients | null;
  }
}

/** @throws MissingIngredient in CI, where nothing may be left out in silence */
export default async function prepare(project: TestProject): Promise<void> {
  try {
    const ingredients = fetchIngredients();
    const images = bootImages(ingredients);
    for (const acpi of [false, true]) await bootedState(images, { acpi });
    project.provide("ingredients", ingredients);
  } catch (error) {
    if (!(error instanceof MissingIngredient) || process.env["CI"] === "true") throw error;
    console.error(`The Linux suite is skipped: ${error.message}`);
    project.provide("ingredients", null);
  }
}
