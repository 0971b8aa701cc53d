import { describe, expect, test, vi } from "vitest";
import {
  compileRegisters,
  NO_REGISTER,
  type RegisterDefinition,
} from "../../../../src/device/transport/register-table.ts";

interface Target {
  values: number[];
}

function register(overrides: Partial<RegisterDefinition<Target>> = {}): RegisterDefinition<Target> {
  return {
    name: "A",
    offset: 0,
    width: 4,
    access: "RW",
    reset: 0,
    section: "-",
    summary: "A register.",
    read: (target, index) => target.values[index]!,
    write: (target, index, value) => {
      target.values[index] = value;
    },
    ...overrides,
  };
}

function readOnly(overrides: Partial<RegisterDefinition<Target>>): RegisterDefinition<Target> {
  const { write: _, ...definition } = register({ access: "RO", ...overrides });
  return definition;
}

function writeOnly(overrides: Partial<RegisterDefinition<Target>>): RegisterDefinition<Target> {
  const { read: _, ...definition } = register({ access: "WO", ...overrides });
  return definition;
}

describe("a compiled table", () => {
  test("finds registers by offset and elements of arrays by stride", () => {
    const table = compileRegisters([register({ offset: 0x10, count: 3, stride: 0x20 })], 0x60);
    const target = { values: [1, 2, 3] };
    expect([0x10, 0x30, 0x50].map((offset) => table.read(target, offset, 4, 0))).toEqual([1, 2, 3]);
    expect(table.write(target, 0x30, 4, 9, 0)).toBe(true);
    expect(target.values).toEqual([1, 9, 3]);
    expect(table.find(0x10)!.name).toBe("A");
    expect(table.indexOf(0x50)).toBe(2);
    expect(table.find(0x14)).toBeNull();
  });

  test("passes the time to both accessors", () => {
    const read = vi.fn(() => 0);
    const write = vi.fn();
    const table = compileRegisters([register({ read, write })], 4);
    const target = { values: [] };
    table.read(target, 0, 4, 123);
    table.write(target, 0, 4, 7, 456);
    expect(read).toHaveBeenCalledWith(target, 0, 123);
    expect(write).toHaveBeenCalledWith(target, 0, 7, 456);
  });

  test("refuses other offsets, widths and directions", () => {
    const table = compileRegisters([readOnly({ offset: 0 }), writeOnly({ name: "B", offset: 4 })], 16);
    const target = { values: [5] };
    expect(table.read(target, 0, 4, 0)).toBe(5);
    for (const [offset, width] of [
      [0, 1],
      [0, 2],
      [1, 4],
      [2, 2],
      [8, 4],
      [16, 4],
      [-4, 4],
      [0.5, 4],
      [Number.NaN, 4],
    ] as const) {
      expect(table.read(target, offset, width, 0)).toBe(NO_REGISTER);
      expect(table.write(target, offset, width, 1, 0)).toBe(false);
    }
    expect(table.read(target, 4, 4, 0)).toBe(NO_REGISTER);
    expect(table.write(target, 0, 4, 1, 0)).toBe(false);
    expect(target.values).toEqual([5]);
  });
});

describe("a definition that cannot be right throws at compile time", () => {
  test.each([
    ["overlap", [register(), register({ name: "B", offset: 2, width: 2 })], /A and B overlap at byte 2/],
    [
      "overlap inside an array",
      [register({ count: 2, stride: 8 }), register({ name: "B", offset: 8 })],
      /A\(1\) and B overlap/,
    ],
    ["misalignment", [register({ offset: 2 })], /offset 2; it must be a non-negative multiple of its width 4/],
    ["a negative offset", [register({ offset: -4 })], /offset -4/],
    ["beyond the block", [register({ offset: 12 })], /ends at 16, but the block has 12 bytes/],
    ["an array without a stride", [register({ count: 2 })], /stride undefined/],
    ["a stride below the width", [register({ count: 2, stride: 2 })], /stride 2/],
    ["RW without read", [writeOnly({ access: "RW" })], /is RW, which needs a read accessor/],
    ["RW without write", [readOnly({ access: "RW" })], /is RW, which needs a write accessor/],
    ["RO with write", [register({ access: "RO" })], /is RO, which forbids a write accessor/],
    ["WO with read", [register({ access: "WO" })], /is WO, which forbids a read accessor/],
  ])("%s", (_, definitions, message) => {
    expect(() => compileRegisters(definitions, 12)).toThrow(RangeError);
    expect(() => compileRegisters(definitions, 12)).toThrow(message);
  });
});
