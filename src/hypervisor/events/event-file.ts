import type { EventLog } from "./event.ts";
import { EventFormatter } from "./ndjson.ts";
import type { RunHeader } from "./run-header.ts";

/** About 64 KiB at a time: few system calls, and little lost should the process be killed. */
const CHUNK_CHARS = 65536;

/**
 * An event log that writes NDJSON. `write` must have taken all of the text when it returns: a run is not asynchronous,
 * so nothing could wait for it. One file may hold several runs, each from `beginRun` to `endRun`.
 */
export class EventFile implements EventLog {
  readonly #write: (text: string) => void;
  #formatter: EventFormatter | null = null;
  #text = "";
  #lastNs = 0;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  beginRun(header: RunHeader): void {
    this.#formatter = new EventFormatter(header.guests.map((guest) => guest.name));
    this.#lastNs = 0;
    this.#text += `${JSON.stringify(header)}\n`;
  }

  record(tNs: number, kind: number, guest: number, a: number, b: number, c: number, d: number, e: number): void {
    if (this.#formatter === null) throw new Error("an event came before its run's header");
    this.#lastNs = tNs;
    this.#text += `${this.#formatter.format(tNs, kind, guest, a, b, c, d, e)}\n`;
    if (this.#text.length >= CHUNK_CHARS) this.flush();
  }

  /** Closes the run: at `tNs`, or at its last event if that came later. */
  endRun(tNs: number): void {
    this.#formatter = null;
    this.#text += `{"ev":"end","t":${Math.max(tNs, this.#lastNs)}}\n`;
  }

  /** Writes what is still held back. */
  flush(): void {
    const text = this.#text;
    this.#text = "";
    if (text !== "") this.#write(text);
  }
}
