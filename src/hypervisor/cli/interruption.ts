import { constants } from "node:os";

/** The first Ctrl-C or SIGTERM asks the run to end and to say what it has; the second one ends the process at once. */
export class Interruption {
  readonly #controller = new AbortController();
  #exitCode: number | null = null;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** 128 + the signal's number, as shells have it; null if there was none. */
  get exitCode(): number | null {
    return this.#exitCode;
  }

  listen(): void {
    for (const name of ["SIGINT", "SIGTERM"] as const) {
      process.on(name, () => {
        const code = 128 + constants.signals[name];
        if (this.#exitCode !== null) process.exit(code);
        this.#exitCode = code;
        this.#controller.abort();
      });
    }
  }
}
