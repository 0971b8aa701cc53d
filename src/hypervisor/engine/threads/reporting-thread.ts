import { Worker } from "node:worker_threads";

/** A worker that says "ready" and, at its end, gives a report: its two messages, and its failure, which nobody may miss. */
export class ReportingThread<Report> {
  readonly #worker: Worker;
  readonly #report: Promise<Report>;
  #failure: Error | null = null;

  /** `name` is what messages call it. */
  constructor(name: string, file: URL, workerData: unknown) {
    this.#worker = new Worker(file, { workerData });
    this.#report = new Promise((resolve, reject) => {
      this.#worker.on("message", (message: Report | "ready") => {
        if (message !== "ready") resolve(message);
      });
      this.#worker.on("error", (error) => {
        this.#failure = error;
        reject(error);
      });
      this.#worker.on("exit", () => reject(new Error(`the ${name} thread has ended without a report`)));
    });
    this.#report.catch(() => {});
  }

  /** Throws if the thread has failed. */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  report(): Promise<Report> {
    return this.#report;
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}
