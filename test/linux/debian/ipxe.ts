/** iPXE, a network boot loader with a virtio driver of its own; Debian's package of it has an image that boots as a kernel does. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "./ingredients.ts";
import { PrivateApt } from "./private-apt.ts";

/**
 * Path of the bootable image, fetched into the cache.
 * @throws MissingIngredient if it cannot be had here
 */
export function fetchIpxe(): string {
  const root = join(CACHE, "ipxe");
  if (!existsSync(root)) new PrivateApt(join(CACHE, "apt"), ["bookworm"]).unpack(["ipxe"], root);
  return join(root, "boot/ipxe.lkrn");
}
