import { randomBytes } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileErrorReason } from "../file-error.ts";
import { UserError } from "../user-error.ts";

/**
 * A file that is there whole or not at all: written under a temporary name in its folder, and renamed by `commit`. What
 * is no regular file (a pipe, /dev/null) is written as it stands, for a rename would replace it.
 */
export class OutputFile {
  readonly #option: string;
  readonly #path: string;
  readonly #temporary: string | null;
  readonly #descriptor: number;
  #open = true;
  // A second Ctrl-C ends the process at once; only this still runs then.
  readonly #atExit = (): void => this.discard();

  /** `option` names the command-line option in messages. Throws UserError if the file cannot be written. */
  constructor(path: string, option: string) {
    this.#option = option;
    const target = this.#attempt(path, () => resolveTarget(path));
    this.#path = target.path;
    this.#temporary = target.replaceable
      ? join(dirname(target.path), `.spillway-${process.pid}-${randomBytes(4).toString("hex")}.partial`)
      : null;
    const name = this.#temporary ?? target.path;
    this.#descriptor = this.#attempt(path, () => openSync(name, this.#temporary === null ? "w" : "wx"));
    process.once("exit", this.#atExit);
  }

  /** All of it is written when this returns. */
  write(text: string): void {
    const bytes = Buffer.from(text);
    this.#attempt(this.#path, () => {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done);
    });
  }

  commit(): void {
    this.#close();
    const temporary = this.#temporary;
    if (temporary !== null) this.#attempt(this.#path, () => renameSync(temporary, this.#path));
  }

  /** Leaves nothing behind. Does nothing after `commit`. */
  discard(): void {
    if (!this.#open) return;
    this.#close();
    if (this.#temporary !== null) rmSync(this.#temporary, { force: true });
  }

  #close(): void {
    this.#open = false;
    process.off("exit", this.#atExit);
    closeSync(this.#descriptor);
  }

  #attempt<T>(path: string, action: () => T): T {
    try {
      return action();
    } catch (error) {
      const reason = fileErrorReason(error);
      if (reason === null) throw error;
      throw new UserError(`${this.#option}: cannot write ${JSON.stringify(path)}: ${reason}`);
    }
  }
}

function resolveTarget(path: string): { path: string; replaceable: boolean } {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return { path, replaceable: true };
  if (!found.isFile()) return { path, replaceable: false };
  // A rename asks only for the folder's permission; a file that is protected shall stay.
  accessSync(path, constants.W_OK);
  // A rename onto a symbolic link would replace the link.
  return { path: realpathSync(path), replaceable: true };
}
