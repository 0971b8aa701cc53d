import { describe, expect, test } from "vitest";
import {
  type FramePort,
  GuestMemory,
  HostWindow,
  LoopbackPort,
  MmioTransport,
  NetCard,
  type NetCardOptions,
  PciInterrupts,
  PciTransport,
} from "../../../src/device/index.ts";
import { MAC } from "../../rings/card-machine.ts";

const RAM_BYTES = 0x10000;
const buffer = new ArrayBuffer(RAM_BYTES);
const memory = new GuestMemory(buffer);
const interrupts = { notify: () => {}, wake: () => {} };
const observer = { arrived: () => {}, delivered: () => {}, dropped: () => {}, cause: () => {} };
const pciSink = { message: () => {}, line: () => {}, wake: () => {} };
const PORT: FramePort = {
  maxFrameBytes: 1514,
  takesChecksum: false,
  takesSegmentation: false,
  receive: () => false,
  nextArrivalNs: () => Number.POSITIVE_INFINITY,
  transmit: () => true,
};

/** What an embedder writes in JavaScript, where no compiler looks. */
const unchecked = <T>(value: unknown): T => value as T;
const cardOf = (change: object) =>
  new NetCard(unchecked<NetCardOptions>({ memory, port: PORT, interrupts, mac: MAC, ...change }));
const without = (part: object, name: string): object => ({ ...part, [name]: undefined });

/** Each mistake is said at once, in one line that names what was got and what is allowed. */
function refuses(make: () => unknown, message: string): void {
  expect(make).toThrow(RangeError);
  expect(make).toThrow(message);
}

describe("a card is refused", () => {
  test.each<[string, object]>([
    ["memory is undefined; it must be a GuestMemory", { memory: undefined }],
    ["memory is an ArrayBuffer; it must be a GuestMemory", { memory: buffer }],
    ["memory is an object; it must be a GuestMemory", { memory: { ...memory } }],
    ["port is undefined; it must be a FramePort", { port: undefined }],
    ["port is null; it must be a FramePort", { port: null }],
    ["port.receive is undefined; it must be a function", { port: without(PORT, "receive") }],
    ["port.transmit is undefined; it must be a function", { port: without(PORT, "transmit") }],
    ["port.nextArrivalNs is undefined; it must be a function", { port: without(PORT, "nextArrivalNs") }],
    ["port.takesChecksum is undefined; it must be true or false", { port: without(PORT, "takesChecksum") }],
    ["port.takesSegmentation is 0; it must be true or false", { port: { ...PORT, takesSegmentation: 0 } }],
    ["port.maxFrameBytes is undefined; with mtu 1500 it must be at", { port: without(PORT, "maxFrameBytes") }],
    ['port.maxFrameBytes is "65535"; with mtu 1500 it must be', { port: { ...PORT, maxFrameBytes: "65535" } }],
    ["interrupts is undefined; it must be an InterruptSink", { interrupts: undefined }],
    ["interrupts.notify is undefined; it must be a function", { interrupts: () => {} }],
    ["interrupts.wake is undefined; it must be a function", { interrupts: { notify: () => {} } }],
    ["interrupts.notify is 7; it must be a function", { interrupts: { ...interrupts, notify: 7 } }],
    ["mac is undefined; it must be 6 bytes", { mac: undefined }],
    ['mac is "02:00:00:00:00:01"; it must be 6 bytes', { mac: "02:00:00:00:00:01" }],
    ["mac is []; it must be 6 bytes", { mac: new Map() }],
    ["observer.arrived is undefined; it must be a function", { observer: {} }],
    ["observer.cause is undefined; it must be a function", { observer: without(observer, "cause") }],
    ["observer.fault is true; it must be a function", { observer: { ...observer, fault: true } }],
    ['withhold is "MQ"; it must be a list', { withhold: "MQ" }],
    ["extra is a Set; it must be a list", { extra: new Set(["STANDBY"]) }],
    ["offer is an object; it must be a list", { offer: {} }],
    ["txStaging is null; it must be a StagingArea", { txStaging: null }],
    ["txStaging.bytes is an ArrayBuffer; it must be a Uint8Array", { txStaging: { bytes: buffer } }],
    ['mtu is "1500"; it must be an integer', { mtu: "1500" }],
    ['queueSizeMax is "256"; it must be a power of two', { queueSizeMax: "256" }],
    ['vectors: got "2", allowed are 1 to 2048', { vectors: "2" }],
    ["vcpus: got 0.5, allowed are 1 to 32", { vcpus: 0.5 }],
    ["duplex is true; it must be", { duplex: true }],
    ["pairs is null; it must be an integer", { pairs: null }],
  ])("%s", (message, change) => refuses(() => cardOf(change), message));

  test("that is given nothing, or its memory alone", () => {
    refuses(() => new NetCard(unchecked(undefined)), "options is undefined; it must be an object with memory, port,");
    refuses(() => new NetCard(unchecked(memory)), "memory is undefined; it must be a GuestMemory");
  });
});

test("a card takes what has all that it calls: derived memory, a port of any class or none, an observer of no faults", () => {
  class Watched extends GuestMemory {}
  expect(cardOf({ memory: new Watched(buffer), observer }).poll(0, 1)).toBe(0);
  expect(cardOf({ observer: null, txStaging: undefined, offer: undefined }).poll(0, 1)).toBe(0);
  expect(cardOf({ port: new LoopbackPort(), mac: Uint8Array.from(MAC) }).poll(0, 1)).toBe(0);
});

describe("a transport is refused", () => {
  test("without a card, or with something else of it", () => {
    refuses(() => new MmioTransport(unchecked(undefined)), "card is undefined; it must be a NetCard");
    refuses(() => new MmioTransport(unchecked({ memory })), "card is an object; it must be a NetCard");
    refuses(() => new PciTransport(unchecked(memory), new PciInterrupts(pciSink)), "card is a GuestMemory; it must be");
    refuses(() => new HostWindow(unchecked(cardOf({}))), "throttle is a NetCard; it must be a Throttle");
  });

  test("on PCI with interrupts that are not the card's, for none would arrive", () => {
    const card = cardOf({ interrupts: new PciInterrupts(pciSink) });
    refuses(() => new PciTransport(card, new PciInterrupts(pciSink)), "it must be the same object");
    refuses(() => new PciTransport(card, unchecked(undefined)), "interrupts is undefined; it must be a PciInterrupts");
    refuses(() => new PciTransport(cardOf({}), unchecked(interrupts)), "interrupts is an object; it must be");
  });

  test.each(["message", "line", "wake"])("on PCI whose sink has no %s", (name) => {
    refuses(
      () => new PciInterrupts(unchecked(without(pciSink, name))),
      `sink.${name} is undefined; it must be a function`,
    );
  });

  test("on PCI with callbacks that cannot be called", () => {
    refuses(() => new PciInterrupts(pciSink, unchecked(1)), "onReason is 1; it must be a function");
    const own = new PciInterrupts(pciSink);
    const card = cardOf({ interrupts: own });
    refuses(() => new PciTransport(card, own, unchecked(null)), "options is null; it must be an object");
    refuses(
      () => new PciTransport(card, own, unchecked({ onBarChange: "log" })),
      'options.onBarChange is "log"; it must be a function',
    );
  });
});
