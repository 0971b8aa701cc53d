import { describe, expect, test } from "vitest";
import { GuestMemory } from "../../../../src/device/index.ts";

const RAM_BYTES = 0x10000;
const buffer = new ArrayBuffer(RAM_BYTES);

/** What an embedder writes in JavaScript, where no compiler looks. */
const unchecked = <T>(value: unknown): T => value as T;

function refuses(make: () => unknown, message: string): void {
  expect(make).toThrow(RangeError);
  expect(make).toThrow(message);
}

describe("guest memory is refused", () => {
  const whole = { guestAddress: 0, sizeBytes: RAM_BYTES, byteOffset: 0 };

  test.each<[string, unknown[]]>([
    ["guest memory's buffer is undefined; it must be an ArrayBuffer or a SharedArrayBuffer", [undefined]],
    ["guest memory's buffer is a Uint8Array; it must be an ArrayBuffer", [new Uint8Array(buffer)]],
    ["guest memory's buffer is a DataView; it must be an ArrayBuffer", [new DataView(buffer), [whole]]],
    ["guest memory's buffer is an object; it must be an ArrayBuffer", [{ buffer }]],
    ["guest memory's buffer is 65536; it must be an ArrayBuffer", [RAM_BYTES]],
    ["regions is an object; it must be a list", [buffer, whole]],
    ["regions[0] is null; it must be a MemoryRegion", [buffer, [null]]],
    ["byteOffset must be non-negative multiples of 8, got undefined", [buffer, [{ guestAddress: 0, sizeBytes: 8 }]]],
    ['copyWithin is "memory.copy"; it must be a function', [buffer, [whole], "memory.copy"]],
    ["translator.translate is undefined; it must be a function", [buffer, [whole], undefined, {}]],
    ["translator is 7; it must be an AddressTranslator", [buffer, [whole], undefined, 7]],
  ])("%s", (message, parts) => {
    const [bytes, ...others] = parts as ConstructorParameters<typeof GuestMemory>;
    refuses(() => new GuestMemory(bytes, ...others), message);
  });

  test("another buffer that is none, and the old one goes on", () => {
    const bound = new GuestMemory(buffer);
    refuses(() => bound.rebind(unchecked(new Uint8Array(RAM_BYTES))), "guest memory's buffer is a Uint8Array");
    expect(bound.u8.buffer).toBe(buffer);
  });

  test("but not for a shared buffer, or one of another realm, whose class is not ours", () => {
    const foreign = new ArrayBuffer(64);
    Object.setPrototypeOf(foreign, { [Symbol.toStringTag]: "ArrayBuffer", byteLength: 64 });
    expect(foreign).not.toBeInstanceOf(ArrayBuffer);
    expect(new GuestMemory(foreign).u8.length).toBe(64);
    expect(new GuestMemory(new SharedArrayBuffer(64)).u8.length).toBe(64);
  });
});
