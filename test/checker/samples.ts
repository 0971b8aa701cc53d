/**
 * Samples of one figure and its nearest-rank percentiles: the smallest sample that at least p % of all samples do not
 * exceed (docs/results.md). Exact, hence all samples are kept: 8 bytes each, so that a run of ten million frames fits.
 */

export interface Distribution {
  readonly count: number;
  readonly p50: number | null;
  readonly p90: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

export class Samples {
  private values = new Float64Array(256);
  private used = 0;

  get count(): number {
    return this.used;
  }

  add(value: number): void {
    if (this.used === this.values.length) {
      const grown = new Float64Array(this.values.length * 2);
      grown.set(this.values);
      this.values = grown;
    }
    this.values[this.used++] = value;
  }

  distribution(): Distribution {
    const sorted = this.values.subarray(0, this.used).slice().sort();
    return {
      count: this.used,
      p50: nearestRank(sorted, 50),
      p90: nearestRank(sorted, 90),
      p99: nearestRank(sorted, 99),
      max: sorted.at(-1) ?? null,
    };
  }
}

/** `percent` is a whole number: percent * n is then exact, and n = 100, p = 99 gives rank 99 and not 100. */
function nearestRank(sorted: Float64Array, percent: number): number | null {
  const rank = Math.max(1, Math.ceil((percent * sorted.length) / 100));
  return sorted[rank - 1] ?? null;
}

/** Numbers seen, at one bit each: frame ids come from a counter and lie close together. */
export class IdSet {
  private readonly pages = new Map<number, Uint32Array>();

  /** False if the id was there before. */
  add(id: number): boolean {
    const page = Math.floor(id / 32768);
    let bits = this.pages.get(page);
    if (bits === undefined) {
      bits = new Uint32Array(1024);
      this.pages.set(page, bits);
    }
    const offset = id - page * 32768;
    const word = offset >>> 5;
    const mask = 1 << (offset & 31);
    const before = bits[word]!;
    bits[word] = before | mask;
    return (before & mask) === 0;
  }
}

/** Frames in a receive ring, oldest first: three columns with a moving head, so that a frame costs no object. */
export class FrameQueue {
  private ids: number[] = [];
  private arrived: number[] = [];
  private tags: number[] = [];
  private head = 0;

  get length(): number {
    return this.ids.length - this.head;
  }

  push(id: number, arrivedNs: number, tag: number): void {
    this.ids.push(id);
    this.arrived.push(arrivedNs);
    this.tags.push(tag);
  }

  /** The id at a position counted from the oldest frame. */
  idAt(index: number): number | undefined {
    return this.ids[this.head + index];
  }

  arrivedAt(index: number): number {
    return this.arrived[this.head + index]!;
  }

  tagAt(index: number): number {
    return this.tags[this.head + index]!;
  }

  indexOf(id: number): number {
    const found = this.ids.indexOf(id, this.head);
    return found < 0 ? -1 : found - this.head;
  }

  remove(count: number): void {
    this.head += count;
    if (this.head < 4096 || this.head * 2 < this.ids.length) return;
    this.ids = this.ids.slice(this.head);
    this.arrived = this.arrived.slice(this.head);
    this.tags = this.tags.slice(this.head);
    this.head = 0;
  }
}
