import { closeSync, ftruncateSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { CHUNK_BYTES, ChunkedFile } from "../../../../src/hypervisor/traffic/chunked-file.ts";
import { openCapture } from "../../../../src/hypervisor/traffic/open-capture.ts";
import { hex, temporaryFolder } from "./capture-files.ts";

const RECORD_BYTES = 16 + 1000;
const RECORDS = 40_000;

/** 40 MB of packets of 1000 bytes, a microsecond apart. */
let path: string;

beforeAll(() => {
  path = join(temporaryFolder(), "long.pcap");
  const file = openSync(path, "w");
  writeSync(file, hex("d4 c3 b2 a1 02 00 04 00 00 00 00 00 00 00 00 00 00 00 04 00 01 00 00 00"));
  const some = new Uint8Array(1000 * RECORD_BYTES);
  const view = new DataView(some.buffer);
  for (let first = 0; first < RECORDS; first += 1000) {
    for (let i = 0; i < 1000; i++) {
      view.setUint32(i * RECORD_BYTES + 4, first + i, true);
      view.setUint32(i * RECORD_BYTES + 8, 1000, true);
      view.setUint32(i * RECORD_BYTES + 12, 1000, true);
    }
    writeSync(file, some);
  }
  closeSync(file);
});

describe("a capture of 40 MB", () => {
  it("is read through a buffer that does not grow, and leaves no buffers behind", () => {
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    let packets = 0;
    const source = openCapture(path);
    while (source.next()) {
      packets++;
      if (packets % 1000 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    expect(packets).toBe(RECORDS);
    expect(source.timeNs).toBe((RECORDS - 1) * 1000);
    expect(source.notes).toEqual([]);
    // The buffer itself, and room for what else the process does.
    expect(most).toBeLessThan(8 * CHUNK_BYTES);
  });

  it("costs the same few bytes of a huge record as of a small one: data is skipped, not read", () => {
    const huge = join(temporaryFolder(), "huge.pcap");
    const file = openSync(huge, "w");
    writeSync(file, hex("d4 c3 b2 a1 02 00 04 00 00 00 00 00 00 00 00 00 00 00 04 00 01 00 00 00"));
    const dataBytes = 100 * 1024 * 1024;
    // Sparse: 50 records of 100 MB each take no room on the disk, and would take minutes to read.
    for (let i = 0; i < 50; i++) {
      const record = new Uint8Array(16);
      new DataView(record.buffer).setUint32(8, dataBytes, true);
      new DataView(record.buffer).setUint32(12, 1514, true);
      writeSync(file, record, 0, 16, 24 + i * (16 + dataBytes));
    }
    ftruncateSync(file, 24 + 50 * (16 + dataBytes));
    closeSync(file);
    const startedAt = process.cpuUsage();
    const source = openCapture(huge);
    let packets = 0;
    while (source.next()) packets++;
    expect(packets).toBe(50);
    expect(source.notes).toEqual([]);
    // Reading 5 GB takes more than a second of processor time on any machine of today.
    const used = process.cpuUsage(startedAt);
    expect(used.user + used.system).toBeLessThan(500_000);
  });
});

describe("ChunkedFile", () => {
  it("makes bytes available across the end of its buffer, and knows its position", () => {
    const file = new ChunkedFile(path, 64);
    expect(file.available(60)).toBe(64);
    expect(file.skip(50)).toBe(true);
    expect(file.has(64)).toBe(true);
    expect([file.offset, file.positionBytes, file.bytes.length]).toEqual([0, 50, 64]);
    expect(file.skip(file.sizeBytes - 50 - 3)).toBe(true);
    expect(file.available(10)).toBe(3);
    expect(file.skip(4)).toBe(false);
    expect(file.available(1)).toBe(0);
    file.close();
  });

  it("refuses to look at more than its buffer holds", () => {
    const file = new ChunkedFile(path, 64);
    expect(() => file.has(65)).toThrow("bytes to look at: got 65, allowed are at most the buffer's 64");
    file.close();
  });
});
