import { describe, expect, it } from "vitest";
import { ExitPort } from "../../../src/guest/exit-port.ts";

// Words of the control block, typed again from its description.
const PENDING_EXIT = { request: 80, offset: 81, width: 82, value: 96, answer: 97 } as const;
const POST = { head: 112, tail: 113, ring: 128 } as const;
const DEVICE_DOORBELL = 16;
const DEVICE_ALIVE = 32;
const QUEUE_NOTIFY = 0x50;
const INTERRUPT_STATUS = 0x60;
const INTERRUPT_ACK = 0x64;

function makePort() {
  const words = new Int32Array(new SharedArrayBuffer(4 * 192));
  const system = new Int32Array(new SharedArrayBuffer(4 * 64));
  system[DEVICE_ALIVE] = 1;
  return { words, system, port: new ExitPort(words, system) };
}

describe("the registers behind the control block", () => {
  it("posts writes in order, and rings the device for all but an acknowledge", () => {
    const { words, system, port } = makePort();
    port.write(QUEUE_NOTIFY, 4, 1);
    expect(system[DEVICE_DOORBELL]).toBe(1);
    port.write(INTERRUPT_ACK, 4, 3);
    expect(system[DEVICE_DOORBELL]).toBe(1);
    expect(words[POST.head]).toBe(2);
    expect([...words.slice(POST.ring, POST.ring + 8)]).toEqual([QUEUE_NOTIFY, 4, 1, 0, INTERRUPT_ACK, 4, 3, 0]);
  });

  it("goes round the ring of 16 posted writes", () => {
    const { words, port } = makePort();
    for (let i = 0; i < 100; i++) {
      port.write(QUEUE_NOTIFY, 4, i);
      expect(words[POST.ring + 4 * (i % 16) + 2]).toBe(i);
      words[POST.tail] = i + 1;
    }
  });

  it("reads InterruptStatus from its mirror, without the device", () => {
    const { words, system, port } = makePort();
    words[33] = 3;
    expect(port.read(INTERRUPT_STATUS, 4)).toBe(3);
    expect(port.exits).toBe(0);
    expect(system[DEVICE_DOORBELL]).toBe(0);
  });

  it("takes an answer that is there, as an unsigned number", () => {
    const { words, system, port } = makePort();
    words[PENDING_EXIT.value] = -2;
    words[PENDING_EXIT.answer] = 1; // the first request of epoch 0
    expect(port.read(0x70, 4)).toBe(0xfffffffe);
    expect([words[PENDING_EXIT.request], words[PENDING_EXIT.offset], words[PENDING_EXIT.width]]).toEqual([1, 0x70, 4]);
    expect(system[DEVICE_DOORBELL]).toBe(1);
  });

  it("throws if the device has ended while it must wait for an answer or for room", () => {
    const { system, port } = makePort();
    system[DEVICE_ALIVE] = 0;
    expect(() => port.read(0x70, 4)).toThrow(/device thread has ended/);
    for (let i = 0; i < 16; i++) port.write(INTERRUPT_ACK, 4, 1);
    expect(() => port.write(INTERRUPT_ACK, 4, 1)).toThrow(/device thread has ended/);
  });
});
