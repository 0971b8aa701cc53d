/** The test's end of the line to `init.sh`: sends a command, takes its output and exit code. */

export interface CommandResult {
  readonly output: string;
  readonly exitCode: number;
}

interface Waiting {
  readonly command: string;
  readonly number: number;
  readonly settle: (result: CommandResult) => void;
  readonly fail: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Longest line that fits into the queue of v86's serial port. */
const LINE_BYTES_MAX = 4000;

export class SerialShell {
  readonly #send: (text: string) => void;
  readonly #explain: () => string;
  readonly #ready: Promise<void>;
  #becomeReady: () => void = () => {};
  #received = "";
  #lineStart = 0;
  #commands = 0;
  #waiting: Waiting | null = null;

  /** `explain` adds to the message of a command that does not end. */
  constructor(send: (text: string) => void, explain: () => string) {
    this.#send = send;
    this.#explain = explain;
    this.#ready = new Promise((resolve) => {
      this.#becomeReady = resolve;
    });
  }

  /** Settles once the guest takes commands. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** The guest was ready when its state was saved. */
  assumeReady(): void {
    this.#becomeReady();
  }

  /**
   * Runs one line of shell; what it leaves in the background must not write to the terminal.
   * @throws Error if it does not end within `timeoutMs`
   */
  run(command: string, timeoutMs: number): Promise<CommandResult> {
    if (this.#waiting !== null) throw new Error(`"${command}" was asked for while "${this.#waiting.command}" runs`);
    if (/[\n\r]/.test(command) || command.length > LINE_BYTES_MAX) {
      throw new Error(`a command must be one line of at most ${LINE_BYTES_MAX} bytes: ${command.slice(0, 80)}…`);
    }
    return new Promise((settle, fail) => {
      const number = ++this.#commands;
      const timer = setTimeout(() => {
        this.#waiting = null;
        fail(new Error(`"${command}" did not end within ${timeoutMs} ms. Output: ${this.#received}${this.#explain()}`));
      }, timeoutMs);
      this.#waiting = { command, number, settle, fail, timer };
      this.#received = "";
      this.#lineStart = 0;
      this.#send(`${number} ${command}\n`);
    });
  }

  /** Whatever runs fails with `error`. */
  abandon(error: Error): void {
    if (this.#waiting === null) return;
    clearTimeout(this.#waiting.timer);
    this.#waiting.fail(error);
    this.#waiting = null;
  }

  /** A byte came from the guest. */
  take(byte: number): void {
    const character = String.fromCharCode(byte);
    this.#received += character;
    if (character !== "\n") return;
    const line = this.#received.slice(this.#lineStart, -1);
    this.#lineStart = this.#received.length;
    if (line === "#ready") this.#becomeReady();
    const [, number, exitCode] = /^#(\d+) (\d+)$/.exec(line) ?? [];
    if (number === undefined) return;
    if (this.#waiting === null || Number(number) !== this.#waiting.number) {
      // The end of a command that was given up.
      this.#received = "";
      this.#lineStart = 0;
      return;
    }
    const { settle, timer } = this.#waiting;
    clearTimeout(timer);
    this.#waiting = null;
    // Before the line with the code comes the newline that init.sh begins it with.
    const output = this.#received.slice(0, -(line.length + 2));
    settle({ output, exitCode: Number(exitCode) });
  }
}
