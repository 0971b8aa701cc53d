/** A Linux guest with our card in it, and a station on the wire at the card's other end. */

import { Station } from "../wire/station.ts";
import { TestWire, type TestWireOptions } from "../wire/test-wire.ts";
import { type Address, type AttachedLinux, attachedLinux, CardGuest, type CardGuestOptions } from "./card-guest.ts";

export const GUEST: Address = { mac: "02:00:00:00:00:01", ip: "192.0.2.1" };
export const STATION: Address = { mac: "02:00:00:00:00:02", ip: "192.0.2.2" };

export interface TestGuestOptions extends CardGuestOptions {
  readonly wire?: TestWireOptions;
}

export class TestGuest extends CardGuest {
  readonly wire: TestWire;
  readonly station: Station;

  private constructor(attached: AttachedLinux, wire: TestWire) {
    super(attached, GUEST);
    wire.onWaiting = () => this.attached.wakeLoop();
    this.wire = wire;
    this.station = new Station(wire, STATION, GUEST);
  }

  static async start(options: TestGuestOptions = {}): Promise<TestGuest> {
    const wire = new TestWire(options.wire);
    const guest = new TestGuest(await attachedLinux(wire, GUEST, options), wire);
    await guest.configure();
    return guest;
  }

  override async configure(): Promise<void> {
    await super.configure();
    await this.knowStation();
  }

  /** Lets the guest know its neighbour for good, so that no ARP disturbs the counters. */
  async knowStation(): Promise<void> {
    await this.run(`arp -i eth0 -s ${STATION.ip} ${STATION.mac}`);
  }

  /** Changes the MAC address of `eth0`; the station follows. */
  async setMac(mac: string): Promise<void> {
    await this.run(`ip link set eth0 address ${mac}`);
    await this.knowStation();
    this.station.guest.mac = mac;
  }

  /** How many of `frames` reach the guest's network stack. */
  async arrivals(frames: readonly Uint8Array[]): Promise<number> {
    const before = Number(await this.net("statistics/rx_packets"));
    for (const frame of frames) this.wire.send(frame);
    // Frames stay in order: when the echo is back, all before it have had their turn.
    if (!(await this.station.ping(56))) throw new Error("an echo came back changed");
    return Number(await this.net("statistics/rx_packets")) - before - 1;
  }

  /** What is wrong so far: complaints of the kernel, and faulty frames of the guest. */
  override faults(): string[] {
    return [...super.faults(), ...this.station.faults];
  }
}
