/**
 * What the Linux suite is made of: a stock Debian kernel with its modules, a few programs, a BIOS. Fetched once into
 * `.cache/linux`, and used from there.
 */

import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { MissingIngredient, PrivateApt } from "./private-apt.ts";

export const CACHE: string = resolve(import.meta.dirname, "../../../.cache/linux");

/** What is booted if SPILLWAY_LINUX_KERNEL says nothing else. */
export const KERNEL_DEFAULT = "bookworm/6.1";

export interface Ingredients {
  /** `uname -r` of the kernel. */
  readonly release: string;
  readonly kernel: string;
  /** Folder of the kernel's modules. */
  readonly modules: string;
  readonly bios: string;
  readonly vgaBios: string;
  /** Root of the programs' and libraries' files. */
  readonly programs: string;
}

/**
 * @param wanted suite and version of the kernel, such as `bookworm/6.1` or `bookworm-backports/6.5`
 * @throws MissingIngredient for what cannot be had here
 */
export function fetchIngredients(wanted: string = process.env["SPILLWAY_LINUX_KERNEL"] ?? KERNEL_DEFAULT): Ingredients {
  const [, suite, version] = /^([a-z-]+)\/(\d+\.\d+)$/.exec(wanted) ?? [];
  if (suite === undefined || version === undefined) {
    throw new MissingIngredient(
      `SPILLWAY_LINUX_KERNEL is "${wanted}"; it must be suite/version, such as ${KERNEL_DEFAULT} or bookworm-backports/6.5`,
    );
  }
  mkdirSync(CACHE, { recursive: true });
  const kernelRoot = join(CACHE, `kernel-${suite}-${version}`);
  const programs = join(CACHE, `programs-${PROGRAM_PACKAGES.join("-")}`);
  if (!existsSync(kernelRoot) || !existsSync(programs)) {
    const apt = new PrivateApt(join(CACHE, "apt"), [...new Set(["bookworm", suite])]);
    if (!existsSync(kernelRoot)) apt.unpack([kernelPackage(apt, version, wanted)], kernelRoot);
    if (!existsSync(programs)) apt.unpack(PROGRAM_PACKAGES, programs);
  }
  const [release] = readdirSync(join(kernelRoot, "lib/modules"));
  if (release === undefined) throw new MissingIngredient(`${kernelRoot} has no modules; remove it, and try again`);
  return {
    release,
    kernel: join(kernelRoot, "boot", `vmlinuz-${release}`),
    modules: join(kernelRoot, "lib/modules", release),
    bios: join(programs, "usr/share/seabios/bios.bin"),
    vgaBios: join(programs, "usr/share/seabios/vgabios-stdvga.bin"),
    programs,
  };
}

const PROGRAM_PACKAGES = ["busybox-static", "ethtool", "libc6", "libcrypt1", "libmnl0", "perl-base", "seabios"];

/** The newest stock kernel of this version for any i686. */
function kernelPackage(apt: PrivateApt, version: string, wanted: string): string {
  const prefix = `linux-image-${version}.`;
  const stock = apt
    .names(prefix)
    .filter((name) => /^\d+(-\d+(\.deb\d+(\.\d+)?)?)?-686$/.test(name.slice(prefix.length)));
  const newest = apt.newestOf(stock);
  if (newest === undefined) throw new MissingIngredient(`Debian's archive has no package ${prefix}*-686 (${wanted})`);
  return newest;
}
