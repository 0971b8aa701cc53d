import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { PacketSource } from "../../../../src/hypervisor/traffic/packet-source.ts";

/** Bytes written as hexadecimal text, so that a test can comment on each field of a file. */
export function hex(...fields: string[]): Uint8Array {
  return Uint8Array.from(fields.join(" ").trim().split(/\s+/).filter(Boolean), (byte) => Number.parseInt(byte, 16));
}

export function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

let root: string | undefined;
let made = 0;
afterAll(() => {
  if (root !== undefined) rmSync(root, { recursive: true });
});

/** A folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  root ??= mkdtempSync(join(tmpdir(), "spillway-"));
  const folder = join(root, String(made++));
  mkdirSync(folder);
  return folder;
}

/** The path of a new file with this content. */
export function fileOf(content: Uint8Array | string, name = "capture"): string {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  return path;
}

export type Packet = readonly [timeNs: number, lengthBytes: number];

/** All packets of a source, or its first `most`. */
export function packetsOf(source: PacketSource, most = Number.POSITIVE_INFINITY): Packet[] {
  const packets: Packet[] = [];
  while (packets.length < most && source.next()) packets.push([source.timeNs, source.lengthBytes]);
  return packets;
}

/** A source that plays the packets given. */
export class ListSource implements PacketSource {
  timeNs = 0;
  lengthBytes = 0;
  closed = 0;
  readonly notes: readonly string[];
  readonly #packets: readonly Packet[];
  #at = 0;

  constructor(packets: readonly Packet[], notes: readonly string[] = []) {
    this.#packets = packets;
    this.notes = notes;
  }

  next(): boolean {
    const packet = this.#packets[this.#at++];
    if (packet === undefined) return false;
    [this.timeNs, this.lengthBytes] = packet;
    return true;
  }

  close(): void {
    this.closed++;
  }
}
