import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The compiled command in a process of its own, in an empty folder. */

const MAIN = fileURLToPath(new URL("../../dist/hypervisor/cli/main.js", import.meta.url));
/** The same command with an engine that does what the environment says (fake-engine-main.mjs). */
const FAKE = fileURLToPath(new URL("./fake-engine-main.mjs", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Workplace {
  readonly folder: string = mkdtempSync(join(tmpdir(), "spillway-process-"));

  write(name: string, content: string | Uint8Array): void {
    writeFileSync(join(this.folder, name), content);
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), "utf8");
  }

  list(): string[] {
    return readdirSync(this.folder).sort();
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  run(args: readonly string[]): Promise<Ended> {
    return ended(spawn(process.execPath, [MAIN, ...args], { cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] }));
  }

  /** `mode` says what the engine does: `finish`, `wait` for the signal, `hang` whatever comes, or `throw`. */
  start(
    mode: "finish" | "wait" | "hang" | "throw",
    args: readonly string[],
  ): { child: ChildProcess; end: Promise<Ended> } {
    const env = { ...process.env, FAKE_ENGINE: mode };
    const child = spawn(process.execPath, [FAKE, ...args], {
      cwd: this.folder,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return { child, end: ended(child) };
  }

  /** A shell line; `$FAKE` starts the command with the fake engine. */
  shell(line: string): Promise<Ended> {
    const env = { ...process.env, FAKE: `${process.execPath} ${FAKE}`, FAKE_ENGINE: "finish" };
    return ended(spawn("bash", ["-c", line], { cwd: this.folder, env, stdio: ["ignore", "pipe", "pipe"] }));
  }
}

/** Resolves when the process has said `text` on standard error. */
export function said(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let heard = "";
    child.stderr?.on("data", (piece: Buffer) => {
      heard += piece.toString();
      if (heard.includes(text)) resolve();
    });
    child.once("close", () => reject(new Error(`ended without saying ${text}: ${heard}`)));
  });
}

function ended(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve, reject) => {
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (piece: Buffer) => {
      stdout += piece.toString();
    });
    child.stderr?.on("data", (piece: Buffer) => {
      stderr += piece.toString();
    });
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}
