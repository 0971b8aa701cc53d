import { Piscina } from "piscina";

/** One worker for each vCPU, for as long as the run lasts. */
export class VcpuPool<Report extends { readonly error: string | null }> {
  readonly #pool: Piscina;
  readonly #tasks: readonly Promise<Report>[];
  #failure: Error | null = null;

  /** `tasks` has one for each guest, whose names are `names`. */
  constructor(file: URL, tasks: readonly object[], names: readonly string[]) {
    this.#pool = new Piscina({
      filename: file.href,
      minThreads: tasks.length,
      maxThreads: tasks.length,
      // A vCPU's task ends with the run: threads that waited on Atomics for the next one would never see another message.
      atomics: "disabled",
    });
    this.#tasks = tasks.map((task) => this.#pool.run(task) as Promise<Report>);
    for (const [index, task] of this.#tasks.entries()) {
      task.then(
        ({ error }) => {
          if (error !== null) this.#failure ??= new Error(`guest ${names[index]}: ${error}`);
        },
        (error: Error) => {
          this.#failure ??= error;
        },
      );
    }
  }

  /** Throws if a vCPU has failed. */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Settles when all have ended. */
  reports(): Promise<readonly Report[]> {
    return Promise.all(this.#tasks);
  }

  async destroy(): Promise<void> {
    await this.#pool.destroy();
  }
}
