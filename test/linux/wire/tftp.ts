/** A TFTP server on a station (RFC 1350): blocks of 512 bytes, each sent when the one before it was acknowledged. */

import { UDP } from "./packets.ts";
import type { Station } from "./station.ts";

const PORT = 69;
const DATA_PORT = 6969;
const READ = 1;
const DATA = 3;
const ACK = 4;
const ERROR = 5;
const BLOCK_BYTES = 512;

export class TftpServer {
  /** Files that were asked for, in order, whether they exist or not. */
  readonly asked: string[] = [];
  /** Files whose last block was acknowledged. */
  readonly served: string[] = [];
  readonly #station: Station;
  readonly #files: ReadonlyMap<string, Uint8Array>;
  #name = "";
  #bytes: Uint8Array | null = null;

  constructor(station: Station, files: Record<string, Uint8Array>) {
    this.#station = station;
    this.#files = new Map(Object.entries(files));
  }

  /** Serves until `last` was asked for. */
  async serveUntil(last: string, timeoutMs: number): Promise<void> {
    await this.#station.next(
      `a request for ${last}`,
      ({ ip }) => {
        if (ip?.protocol === UDP) this.#take(ip.payload);
        return this.asked.includes(last);
      },
      timeoutMs,
    );
  }

  #take(datagram: Uint8Array): void {
    const word = (at: number) => (datagram[at]! << 8) | datagram[at + 1]!;
    const [from, to, kind] = [word(0), word(2), word(8)];
    if (to === PORT && kind === READ) {
      const end = datagram.indexOf(0, 10);
      this.#name = new TextDecoder().decode(datagram.subarray(10, end));
      this.asked.push(this.#name);
      this.#bytes = this.#files.get(this.#name) ?? null;
      if (this.#bytes === null) this.#answer(from, [ERROR, 1], new Uint8Array(1));
      else this.#sendBlock(from, 1);
    } else if (to === DATA_PORT && kind === ACK && this.#bytes !== null) {
      const block = word(10);
      if (block * BLOCK_BYTES > this.#bytes.length) this.served.push(this.#name);
      else this.#sendBlock(from, block + 1);
    }
  }

  #sendBlock(port: number, block: number): void {
    const at = (block - 1) * BLOCK_BYTES;
    this.#answer(port, [DATA, block], this.#bytes!.subarray(at, at + BLOCK_BYTES));
  }

  #answer(port: number, words: readonly number[], rest: Uint8Array): void {
    const head = words.flatMap((value) => [value >> 8, value & 0xff]);
    this.#station.sendUdp(DATA_PORT, port, Uint8Array.from([...head, ...rest]));
  }
}
