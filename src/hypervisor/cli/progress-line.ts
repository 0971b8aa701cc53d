import type { ProgressTerminal } from "./command-context.ts";

const CLEAR_LINE = "\r\u001b[K";

/** One line on a terminal that says how far a run is; gone when it is over. Without a terminal it does nothing. */
export class ProgressLine {
  readonly #terminal: ProgressTerminal | null;
  #shown = false;

  constructor(terminal: ProgressTerminal | null) {
    this.#terminal = terminal;
  }

  /** `share` is 0…1, or null where it is not known. */
  show(label: string, share: number | null): void {
    if (this.#terminal === null) return;
    const text = share === null ? `${label} …` : `${label} ${Math.floor(Math.min(Math.max(share, 0), 1) * 100)} %`;
    // A line that wraps could not be cleared.
    this.#terminal.write(CLEAR_LINE + text.slice(0, Math.max(1, (this.#terminal.columns || 80) - 1)));
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) this.#terminal?.write(CLEAR_LINE);
    this.#shown = false;
  }
}
