/** How long frames waited to be read, each with its exact time, apart by what the scheduler did meanwhile. */
import { GUEST_ACTIVE } from "../device/spec/throttle-registers.ts";

const CHUNK_SAMPLES = 65536;

/** Numbers, kept in chunks: nothing is allocated or moved for a sample but one chunk in 65536. */
export class SampleLog {
  readonly #full: Float64Array[] = [];
  #chunk = new Float64Array(CHUNK_SAMPLES);
  #used = 0;

  get count(): number {
    return this.#full.length * CHUNK_SAMPLES + this.#used;
  }

  add(sample: number): void {
    if (this.#used === CHUNK_SAMPLES) {
      this.#full.push(this.#chunk);
      this.#chunk = new Float64Array(CHUNK_SAMPLES);
      this.#used = 0;
    }
    this.#chunk[this.#used++] = sample;
  }

  toArray(): Float64Array<ArrayBuffer> {
    const all = new Float64Array(this.count);
    let at = 0;
    for (const chunk of this.#full) {
      all.set(chunk, at);
      at += CHUNK_SAMPLES;
    }
    all.set(this.#chunk.subarray(0, this.#used), at);
    return all;
  }
}

/** Waiting times in ns, in order of reading. */
export interface LatencySamples {
  readonly latencyNs: Float64Array<ArrayBuffer>;
  readonly latencyCutNs: Float64Array<ArrayBuffer>;
  readonly latencyInactiveNs: Float64Array<ArrayBuffer>;
}

export class LatencyLog {
  /** Arrived and read in the same active span. */
  readonly latency = new SampleLog();
  /** Arrived in an active span, read in a later one: a deactivation came in between. */
  readonly cut = new SampleLog();
  /** Arrived while the guest was inactive. */
  readonly inactive = new SampleLog();

  /** State words are `seq << 2 | GUEST_STATE`: the same word means the same span. */
  record(arrivalNs: number, arrivalState: number, readNs: number, readState: number): void {
    const log =
      (arrivalState & GUEST_ACTIVE) === 0
        ? this.inactive
        : arrivalState >>> 0 === readState >>> 0
          ? this.latency
          : this.cut;
    log.add(readNs - arrivalNs);
  }

  toTransfer(): LatencySamples {
    return {
      latencyNs: this.latency.toArray(),
      latencyCutNs: this.cut.toArray(),
      latencyInactiveNs: this.inactive.toArray(),
    };
  }
}
