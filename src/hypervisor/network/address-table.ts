/**
 * Which port a station was last heard on. Each port has a share of its own: whoever floods the switch with invented
 * addresses displaces what was learned at its own port, and nothing else.
 *
 * Entries lie in their port's share; a hash table with linear probing, at most half full, leads to them. An address is
 * two numbers, bytes 0 … 3 as an int32 and bytes 4 … 5, so that nothing is allocated.
 */

const NOBODY = -1;

export const NO_PORT = -1;

export class AddressTable {
  /** Stations learned, heard at another port than before, forgotten for their silence, displaced by others of their port. */
  learned = 0;
  moved = 0;
  aged = 0;
  displaced = 0;
  readonly #perPort: number;
  readonly #ageingNs: number;
  // Entries, port by port.
  readonly #highs: Int32Array;
  readonly #lows: Uint16Array;
  readonly #heardNs: Float64Array;
  readonly #inUse: Uint8Array;
  /** In each share, where the next station goes. */
  readonly #next: Uint32Array;
  /** Hash table of entries. */
  readonly #table: Int32Array;
  readonly #mask: number;
  #size = 0;

  /** Holds `perPort` addresses of each of `ports` ports, each until it was silent for `ageingNs`. */
  constructor(ports: number, perPort: number, ageingNs: number) {
    const entries = ports * perPort;
    this.#perPort = perPort;
    this.#ageingNs = ageingNs;
    this.#highs = new Int32Array(entries);
    this.#lows = new Uint16Array(entries);
    this.#heardNs = new Float64Array(entries);
    this.#inUse = new Uint8Array(entries);
    this.#next = new Uint32Array(ports);
    this.#table = new Int32Array(2 ** Math.ceil(Math.log2(2 * entries))).fill(NOBODY);
    this.#mask = this.#table.length - 1;
  }

  /** Stations in the table; a silent one counts until it is asked for. */
  get size(): number {
    return this.#size;
  }

  /** The port where the station was heard last, or NO_PORT. */
  portOf(high: number, low: number, nowNs: number): number {
    const at = this.#find(high, low);
    const entry = this.#table[at]!;
    if (entry === NOBODY) return NO_PORT;
    if (nowNs - this.#heardNs[entry]! < this.#ageingNs) return Math.floor(entry / this.#perPort);
    this.#forget(at);
    this.aged++;
    return NO_PORT;
  }

  /** The station was heard on `port`. */
  hear(high: number, low: number, port: number, nowNs: number): void {
    const at = this.#find(high, low);
    const known = this.#table[at]!;
    if (known !== NOBODY) {
      if (Math.floor(known / this.#perPort) === port) {
        this.#heardNs[known] = nowNs;
        return;
      }
      this.#forget(at);
      this.moved++;
    } else {
      this.learned++;
    }
    const next = this.#next[port]!;
    this.#next[port] = next + 1 === this.#perPort ? 0 : next + 1;
    const entry = port * this.#perPort + next;
    if (this.#inUse[entry] === 1) {
      this.#forget(this.#find(this.#highs[entry]!, this.#lows[entry]!));
      this.displaced++;
    }
    this.#highs[entry] = high;
    this.#lows[entry] = low;
    this.#heardNs[entry] = nowNs;
    this.#inUse[entry] = 1;
    this.#table[this.#find(high, low)] = entry;
    this.#size++;
  }

  /** Where the hash table has the station, or where it would have to go. */
  #find(high: number, low: number): number {
    let at = this.#home(high, low);
    for (; ; at = (at + 1) & this.#mask) {
      const entry = this.#table[at]!;
      if (entry === NOBODY || (this.#highs[entry] === high && this.#lows[entry] === low)) return at;
    }
  }

  #home(high: number, low: number): number {
    // Fibonacci hashing: the upper bits of a product with 2^32 divided by the golden ratio.
    const hash = Math.imul(high ^ Math.imul(low, 0x85ebca6b), 0x9e3779b1);
    return (hash ^ (hash >>> 15)) & this.#mask;
  }

  /** Closes the gap: what was probed past this place moves up, so that searches still end at the first free one. */
  #forget(at: number): void {
    const table = this.#table;
    this.#inUse[table[at]!] = 0;
    this.#size--;
    let gap = at;
    for (let next = (gap + 1) & this.#mask; table[next] !== NOBODY; next = (next + 1) & this.#mask) {
      const entry = table[next]!;
      const home = this.#home(this.#highs[entry]!, this.#lows[entry]!);
      // It may move into the gap if its home does not lie behind it.
      if (((next - home) & this.#mask) < ((next - gap) & this.#mask)) continue;
      table[gap] = entry;
      gap = next;
    }
    table[gap] = NOBODY;
  }
}
