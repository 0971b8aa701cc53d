/** The guest's first root: the modules that drive the card, busybox, ethtool, perl, programs of our own, and `init.sh`. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Ingredients } from "../debian/ingredients.ts";
import { CpioArchive } from "./cpio.ts";
import { modulesInOrder } from "./kernel-modules.ts";

const MODULES = ["virtio_pci", "virtio_net", "8021q", "macvlan", "pktgen"];
const LIBRARY_FOLDER = "lib/i386-linux-gnu";
const LIBRARIES = ["libc.so.6", "libm.so.6", "libmnl.so.0", "libcrypt.so.1"];
const PROGRAMS = join(import.meta.dirname, "programs");
const LOADER = "lib/ld-linux.so.2";

export function buildInitramfs({ programs, modules }: Ingredients): Buffer {
  const archive = new CpioArchive();
  for (const folder of ["dev", "proc", "sys", "tmp", "bin", "sbin", "usr/bin", "usr/sbin"]) archive.folder(folder);
  archive.characterDevice("dev/console", 5, 1);
  archive.file("init", readFileSync(join(import.meta.dirname, "init.sh")));
  archive.file("bin/busybox", readFileSync(join(programs, "bin/busybox")));
  archive.link("bin/sh", "busybox");
  archive.file("sbin/ethtool", readFileSync(join(programs, "sbin/ethtool")));
  archive.file(LOADER, readFileSync(join(programs, LOADER)));
  for (const library of LIBRARIES) {
    const path = join(LIBRARY_FOLDER, library);
    archive.file(path, readFileSync(firstOf(join(programs, path), join(programs, "usr", path))));
  }
  archive.file("usr/bin/perl", readFileSync(join(programs, "usr/bin/perl")));
  for (const program of readdirSync(PROGRAMS)) {
    archive.file(join("usr/bin", program), readFileSync(join(PROGRAMS, program)));
  }
  for (const [index, { name, file }] of modulesInOrder(modules, MODULES).entries()) {
    archive.file(`modules/${String(index).padStart(2, "0")}-${name}.ko`, readFileSync(file));
  }
  return archive.finish();
}

function firstOf(...paths: readonly string[]): string {
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`none of ${paths.join(", ")} is there`);
  return found;
}
