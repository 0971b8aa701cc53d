import type { V86 } from "v86";

/**
 * The host's end of the line to a guest's first process (docs/scenarios.md): it says `#ready`, then takes lines `<number>
 * <command>`, and answers with the command's output and a line `#<number> <exit code>`.
 */
export class SerialShell {
  readonly #emulator: V86;
  /** Settles once the guest takes commands. */
  readonly ready: Promise<void>;
  #becomeReady: () => void = () => {};
  #received = "";
  #kernelLog = "";
  #commands = 0;
  #settle: ((output: string, exitCode: number) => void) | null = null;

  constructor(emulator: V86) {
    this.#emulator = emulator;
    this.ready = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
    emulator.add_listener("serial0-output-byte", (byte) => this.#take(byte));
    emulator.add_listener("serial1-output-byte", (byte) => {
      this.#kernelLog = (this.#kernelLog + String.fromCharCode(byte)).slice(-KERNEL_LOG_CHARACTERS);
    });
  }

  /** What the kernel has said last. */
  get kernelLog(): string {
    return this.#kernelLog.trim();
  }

  /** Output of a line of shell. Rejects if it does not succeed, or does not end within `timeoutMs`. */
  async run(command: string, timeoutMs: number): Promise<string> {
    const number = ++this.#commands;
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<string>((resolve, reject) => {
        timer = setTimeout(() => reject(this.#failure(command, `did not end within ${timeoutMs} ms`)), timeoutMs);
        this.#settle = (output, exitCode) => {
          if (exitCode === 0) resolve(output);
          else reject(this.#failure(command, `ended with ${exitCode}: ${output.trim()}`));
        };
        this.#received = "";
        this.#emulator.serial0_send(`${number} ${command}\n`);
      });
    } finally {
      clearTimeout(timer);
      this.#settle = null;
    }
  }

  #failure(command: string, what: string): Error {
    return new Error(
      `in the guest, "${command}" ${what}${this.kernelLog === "" ? "" : `; its kernel says: ${this.kernelLog}`}`,
    );
  }

  #take(byte: number): void {
    this.#received += String.fromCharCode(byte);
    if (byte !== NEWLINE) return;
    if (this.#received.endsWith("#ready\n")) this.#becomeReady();
    const [end, number, exitCode] = ANSWER.exec(this.#received) ?? [];
    if (end === undefined || Number(number) !== this.#commands) return;
    this.#settle?.(this.#received.slice(0, -end.length), Number(exitCode));
  }
}

const NEWLINE = 10;
const ANSWER = /(?:^|\n)#(\d+) (\d+)\n$/;
const KERNEL_LOG_CHARACTERS = 2000;
