import { afterEach, describe, expect, it, vi } from "vitest";
import { patterned } from "../../../conformance/harness/frames.ts";
import { MAC, Machine } from "./machine.ts";

const machines: Machine[] = [];

async function make(network?: { relay_url: string; id?: number }): Promise<Machine> {
  const machine = await Machine.make(false, undefined, network);
  machines.push(machine);
  return machine;
}

afterEach(async () => {
  for (const machine of machines.splice(0)) await machine.destroy();
});

const ROUTER_IP = [192, 168, 86, 1];
const GUEST_IP = [192, 168, 86, 100];
const ROUTER_MAC = [0x52, 0x54, 0, 1, 2, 3];

/** RFC 826: who has the router's address, from `mac`. */
const arpRequest = (mac: readonly number[]) => [
  ...[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...mac, 0x08, 0x06],
  ...[0, 1, 0x08, 0, 6, 4, 0, 1],
  ...[...mac, ...GUEST_IP, 0, 0, 0, 0, 0, 0, ...ROUTER_IP],
];

describe("v86's network back ends", () => {
  it("answer what the card sends, to the address that its driver has given it", async () => {
    const machine = await make({ relay_url: "fetch" });
    machine.attach();
    const { ram, receive, transmit } = machine.bringUp();
    for (const mac of [MAC, [0x02, 0, 0, 0, 0, 9]]) {
      machine.card.card.config.setMac(Uint8Array.from(mac), 0);
      machine.endOfStretch();
      const request = arpRequest(mac);
      transmit.add([{ address: ram.put([...new Uint8Array(12), ...request]), length: 12 + request.length }]);
      machine.driver.notify(1);
      machine.endOfStretch();
      const [chain] = receive.collectUsed();
      const answer = [...ram.bytes(chain!.buffers[0]!.address + 12, 42)];
      expect(answer.slice(0, 14)).toEqual([...mac, ...ROUTER_MAC, 0x08, 0x06]);
      expect(answer.slice(20, 32)).toEqual([0, 2, ...ROUTER_MAC, ...ROUTER_IP]);
    }
  });

  it("carry frames from one machine to another", async () => {
    const network = { relay_url: "inbrowser", id: 3 };
    const [first, second] = [await make(network), await make(network)];
    for (const machine of [first, second]) machine.attach({ networkId: 3 });
    const { ram, transmit } = first.bringUp();
    const { ram: otherRam, receive } = second.bringUp();
    const frame = patterned(300, 5);
    transmit.add([{ address: ram.put([...new Uint8Array(12), ...frame]), length: 312 }]);
    first.driver.notify(1);
    first.endOfStretch();
    const got = await vi.waitFor(() => {
      second.endOfStretch();
      const [chain] = receive.collectUsed();
      return otherRam.bytes(chain!.buffers[0]!.address + 12, 300);
    });
    expect(got).toEqual(frame);
  });

  it("hear of the card's address, and of another that its driver gives it or that comes with a saved state", async () => {
    const machine = await make();
    const told: string[] = [];
    machine.inside.bus.register("net0-mac", (mac: string) => told.push(mac));
    machine.attach();
    machine.endOfStretch();
    machine.endOfStretch();
    expect(told).toEqual(["02:00:00:00:00:01"]);
    machine.card.card.config.setMac(Uint8Array.of(0x02, 0, 0, 0, 0, 9), 0);
    machine.endOfStretch();
    const state = await machine.emulator.save_state();
    machine.emulator.restart();
    machine.endOfStretch();
    await machine.emulator.restore_state(state);
    machine.endOfStretch();
    expect(told).toEqual(["02:00:00:00:00:01", "02:00:00:00:00:09", "02:00:00:00:00:01", "02:00:00:00:00:09"]);
  });
});
