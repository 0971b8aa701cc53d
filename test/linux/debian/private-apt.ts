/**
 * Debian's packages by the machine's own apt, with lists and a cache of our own: no root is needed, no architecture is
 * added to the machine, nothing of it is changed. Where the archive is, the machine's apt knows.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const DEBIAN_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Something that the suite needs is not to be had here; the message says what, and why. */
export class MissingIngredient extends Error {}

export class PrivateApt {
  readonly #folder: string;
  readonly #config: string;

  /**
   * Reads the lists of `suites` (such as `bookworm`) for i386.
   * @throws MissingIngredient where there is no apt, or no Debian archive that it knows
   */
  constructor(folder: string, suites: readonly string[]) {
    this.#folder = folder;
    this.#config = join(folder, "apt.conf");
    const site = debianSite();
    mkdirSync(join(folder, "lists/partial"), { recursive: true });
    mkdirSync(join(folder, "archives/partial"), { recursive: true });
    writeFileSync(join(folder, "status"), "");
    const signedBy = existsSync(DEBIAN_KEYS) ? `[signed-by=${DEBIAN_KEYS}] ` : "";
    writeFileSync(
      join(folder, "sources.list"),
      suites.map((suite) => `deb ${signedBy}${site} ${suite} main\n`).join(""),
    );
    writeFileSync(
      this.#config,
      [
        `Dir::State "${folder}";`,
        `Dir::State::lists "${folder}/lists";`,
        `Dir::State::status "${folder}/status";`,
        `Dir::Cache "${folder}";`,
        `Dir::Etc::sourcelist "${folder}/sources.list";`,
        `Dir::Etc::sourceparts "/dev/null";`,
        `APT::Architecture "i386";`,
        `APT::Architectures { "i386"; };`,
        // Only root may become apt's own user, who could then not write here.
        `APT::Sandbox::User "";`,
        `Acquire::Languages "none";`,
        "",
      ].join("\n"),
    );
    // A mirror in the middle of its own update serves some index that does not fit: what is there may do all the same.
    this.#run("apt-get", ["-q", "update"], true);
  }

  /** Names of packages that begin with `prefix`. */
  names(prefix: string): string[] {
    return this.#run("apt-cache", ["pkgnames", prefix]).split("\n").filter(Boolean);
  }

  /** The one of `names` that comes last by version. */
  newestOf(names: readonly string[]): string | undefined {
    return [...names].sort(new Intl.Collator("en", { numeric: true }).compare).at(-1);
  }

  /**
   * Downloads packages and lays their files below `root`.
   * @throws MissingIngredient for those that the archive does not have
   */
  unpack(packages: readonly string[], root: string): void {
    const debs = join(this.#folder, "debs");
    const partial = `${root}.partial`;
    for (const folder of [debs, partial]) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
    }
    try {
      this.#run("apt-get", ["-q", "download", ...packages], false, debs);
      for (const deb of readdirSync(debs)) this.#run("dpkg-deb", ["-x", join(debs, deb), partial]);
    } catch (error) {
      throw new MissingIngredient(`cannot get ${packages.join(", ")} (i386): ${(error as Error).message.trim()}`);
    }
    rmSync(debs, { recursive: true });
    rmSync(root, { recursive: true, force: true });
    renameSync(partial, root);
  }

  #run(command: string, args: readonly string[], tolerant = false, cwd = this.#folder): string {
    const env = { ...process.env, APT_CONFIG: this.#config, LC_ALL: "C" };
    try {
      return execFileSync(command, args, { cwd, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    } catch (error) {
      if (tolerant) return "";
      throw new Error(`${command} ${args.join(" ")}: ${(error as { stderr?: string }).stderr ?? error}`);
    }
  }
}

/** Where the machine's own apt finds Debian; its lists need not be there for that. */
function debianSite(): string {
  let uris: string;
  try {
    uris = execFileSync("apt-get", ["update", "--print-uris"], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  } catch {
    throw new MissingIngredient("there is no apt-get here, which fetches the Linux kernel from Debian's packages");
  }
  const sites = [...uris.matchAll(/^'([^']+)\/dists\/[^']+\/InRelease'/gm)].map((match) => match[1]!);
  // The main archive; those of security updates and of others have another path.
  const site = sites.find((candidate) => /\/debian$/.test(candidate)) ?? sites[0];
  if (site !== undefined) return site;
  throw new MissingIngredient("apt knows no archive: the suite needs a Debian system's /etc/apt/sources.list");
}
