import { describe, expect, test } from "vitest";
import type { AddressTranslator } from "../../../../src/device/index.ts";
import { FAULTS } from "../../../../src/device/index.ts";
import { BUFFERS, CardMachine, frameOf, HEADER_BYTES, PLAIN_FEATURES, RUNNING } from "../../../rings/card-machine.ts";

const PAGE = 0x1000;
/** Device addresses begin here; rings and buffers keep their page offsets. */
const IO_BASE = 0x1_0000_0000;
const FEATURES = [...PLAIN_FEATURES, "ACCESS_PLATFORM"] as const;

/** Pages in reverse order above BUFFERS, in their own order below; page by page writable or not, mapped or not. */
class ReversingTranslator implements AddressTranslator {
  runBytes = 0;
  readonly unmapped = new Set<number>();
  readonly readOnly = new Set<number>();
  asked = 0;

  translate(address: number, write: boolean): number {
    this.asked++;
    const page = Math.floor((address - IO_BASE) / PAGE);
    if (page < 0 || page >= 0x40 || this.unmapped.has(page) || (write && this.readOnly.has(page))) return -1;
    const inPage = (address - IO_BASE) % PAGE;
    // The rings' pages are one run, all others stand alone.
    this.runBytes = page < BUFFERS / PAGE ? BUFFERS - page * PAGE - inPage : PAGE - inPage;
    return physicalPage(page) * PAGE + inPage;
  }
}

function physicalPage(page: number): number {
  const first = BUFFERS / PAGE;
  return page < first ? page : 0x3f - (page - first);
}

/** What the driver finds behind device addresses `address … + length`. */
function read(machine: CardMachine, address: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => {
    const at = address + i - IO_BASE;
    return machine.ram[physicalPage(Math.floor(at / PAGE)) * PAGE + (at % PAGE)]!;
  });
}

function machineWith(translator: ReversingTranslator): CardMachine {
  const machine = new CardMachine({ translator, mtu: 9000 });
  machine.ringBase = IO_BASE;
  return machine.bringUp(FEATURES);
}

const names = (machine: CardMachine) => machine.faults.map(({ code }) => FAULTS[code]!.name);

describe("behind an address translator", () => {
  test("the card offers ACCESS_PLATFORM, and refuses a driver that does not accept it (RFB-3)", () => {
    const machine = new CardMachine({ translator: new ReversingTranslator() });
    expect(machine.card.features.isOffered(33)).toBe(true);
    machine.negotiate(PLAIN_FEATURES);
    expect(machine.status & 8).toBe(0);
    expect(() => new CardMachine({ translator: new ReversingTranslator(), withhold: ["ACCESS_PLATFORM"] })).toThrow(
      /ACCESS_PLATFORM is not offered/,
    );
    expect(() => new CardMachine({ extra: ["ACCESS_PLATFORM"] })).toThrow(/guest memory has no translator/);
  });

  test("a frame that crosses pages is written piece by piece", () => {
    const machine = machineWith(new ReversingTranslator());
    expect(machine.status).toBe(RUNNING);
    const address = IO_BASE + BUFFERS + PAGE - 100;
    machine.rx.setDescriptor(0, { address, length: 9100, flags: 2 });
    machine.rx.offer(0);
    machine.rx.publish();
    const frame = frameOf(9000);
    expect(machine.receive(frame)).toEqual([{ head: 0, length: HEADER_BYTES + 9000 }]);
    expect(read(machine, address + HEADER_BYTES, 9000)).toEqual(frame);
    expect([machine.faults, machine.drops]).toEqual([[], []]);
  });

  test("a frame is sent from pieces", () => {
    const machine = machineWith(new ReversingTranslator());
    const frame = frameOf(5000);
    const address = IO_BASE + BUFFERS + PAGE - 7;
    const bytes = new Uint8Array(HEADER_BYTES + frame.length);
    bytes.set(frame, HEADER_BYTES);
    for (const [i, byte] of bytes.entries()) {
      const at = address + i - IO_BASE;
      machine.ram[physicalPage(Math.floor(at / PAGE)) * PAGE + (at % PAGE)] = byte;
    }
    machine.tx.setDescriptor(0, { address, length: bytes.length });
    machine.tx.offer(0);
    machine.tx.publish();
    machine.kick(1);
    machine.poll();
    expect(machine.port.sent).toEqual([frame]);
  });

  test("a page that is not mapped, or not for writing, is a fault of the chain, and nothing is written", () => {
    for (const which of ["unmapped", "readOnly"] as const) {
      const translator = new ReversingTranslator();
      const machine = machineWith(translator);
      translator[which].add(BUFFERS / PAGE + 1);
      machine.rx.setDescriptor(0, { address: IO_BASE + BUFFERS, length: 2 * PAGE, flags: 2 });
      machine.rx.offer(0);
      machine.rx.publish();
      const written = machine.writtenBy(() => machine.receive(frameOf(60))).filter(([from]) => from >= BUFFERS);
      expect([names(machine), written]).toEqual([["address"], []]);
      // A page that may be read may be sent from.
      machine.faults.length = 0;
      machine.ram.fill(0, physicalPage(BUFFERS / PAGE + 1) * PAGE, physicalPage(BUFFERS / PAGE + 1) * PAGE + 72);
      machine.tx.setDescriptor(0, { address: IO_BASE + BUFFERS + PAGE, length: 72 });
      machine.tx.offer(0);
      machine.tx.publish();
      machine.kick(1);
      machine.poll();
      expect(names(machine)).toEqual(which === "unmapped" ? ["address"] : []);
    }
  });

  test("a buffer in more pieces than any driver makes is a fault, and bounds the work", () => {
    const translator = new ReversingTranslator();
    const machine = machineWith(translator);
    const runs = translator.translate.bind(translator);
    translator.translate = (address, write) => {
      const found = runs(address, write);
      translator.runBytes = 1;
      return found;
    };
    machine.rx.setDescriptor(0, { address: IO_BASE + BUFFERS, length: 0x20000, flags: 2 });
    machine.rx.offer(0);
    machine.rx.publish();
    translator.asked = 0;
    machine.receive(frameOf(60));
    expect(names(machine)).toEqual(["address"]);
    expect(translator.asked).toBeLessThan(3000);
  });

  test("rings in pieces are refused, for the card looks where they lie once", () => {
    const machine = new CardMachine({ translator: new ReversingTranslator() });
    machine.ringBase = IO_BASE;
    machine.negotiate(FEATURES);
    machine.setUpQueue(0, BUFFERS + PAGE - 0x100, 64);
    expect(names(machine)).toEqual(["queue-setup"]);
  });
});
