/** `attachVirtioNet`: puts a card into a v86 machine, from outside, before its first run or while it runs. */

import type { FeatureName, FramePort } from "../../device/index.ts";
import {
  HostWindow,
  ITR_LATENCY,
  NetCard,
  type NetCardOptions,
  PciInterrupts,
  PciTransport,
  THROTTLE_STRIDE,
} from "../../device/index.ts";
import { AttachedCard } from "./attached-card.ts";
import { BusPort } from "./bus-port.ts";
import { type EmulatorInside, insideOf } from "./emulator.ts";
import { EmulatorRam } from "./emulator-ram.ts";
import { InterruptPins } from "./interrupt-pins.ts";
import { LatencyGovernor } from "./latency-governor.ts";
import { PciSlot } from "./pci-slot.ts";

export interface VirtioNetOptions
  extends Omit<NetCardOptions, "memory" | "port" | "interrupts" | "mac" | "vectors" | "txStaging" | "extra"> {
  /** Where frames come from and go to; by default v86's own network back end (`net0-send`, `net0-receive`). */
  readonly port?: FramePort;
  /**
   * Features to offer that are not by default: STANDBY, RING_PACKED, and on v86's own network MRG_RXBUF and GUEST_TSO4 … USO6,
   * whose frames v86's back ends do not send.
   */
  readonly extra?: readonly FeatureName[];
  /** Which of v86's networks, as `id` of its `net_device`; default 0, or 1 if the machine has a card of v86's own. */
  readonly networkId?: number;
  /** Six bytes of a unicast address; by default a random one of local administration. */
  readonly mac?: ArrayLike<number>;
  /** Device number on the PCI bus; default 15. */
  readonly slot?: number;
  /** Space of the BAR that holds the registers; default "io", which costs v86 less. */
  readonly bar?: "io" | "memory";
  /** MSI-X, with a vector for each queue and one for configuration changes: needs a machine with `acpi: true`. */
  readonly msix?: boolean;
  /**
   * ITR_LATENCY of all vectors, ns: interrupts are at least so far apart. By default the card finds it itself, from what the
   * guest is at: 0 to 2 ms, none while the other end waits for each answer.
   */
  readonly latencyIntervalNs?: number;
  /** Asks the host to run a guest that it has stopped, and has told the card so (GUEST_STATE). */
  readonly onWake?: (vcpu: number, why: number, nowNs: number) => void;
  /** Told of each interrupt that the throttle lets through, and why (NOTIFY_*). */
  readonly onNotify?: (vector: number, why: number, nowNs: number) => void;
}

/**
 * None of v86's own devices is there, and SeaBIOS gives its interrupt line to none of those that v86 has without being
 * asked, nor to its file system: v86 does not join what several devices say on one line.
 */
const SLOT_DEFAULT = 15;
/**
 * What is offered only if `extra` names it. Split rings cost an emulated driver fewer instructions than packed ones; and
 * v86's back ends never send a frame that a plain buffer does not hold, for which drivers have their shortest path.
 */
const WITHHELD: readonly FeatureName[] = ["RING_PACKED"];
const WITHHELD_ON_BUS: readonly FeatureName[] = [
  "MRG_RXBUF",
  "GUEST_TSO4",
  "GUEST_TSO6",
  "GUEST_ECN",
  "GUEST_UFO",
  "GUEST_USO4",
  "GUEST_USO6",
];
const MTU_ETHERNET = 1500;
const attached = new WeakSet<object>();

/**
 * Attaches a card to an emulator of the npm package `v86` that has loaded (its event "emulator-loaded").
 *
 * A guest that boots afterwards finds the card; one that runs already finds it when it rescans the PCI bus (Linux:
 * `echo 1 > /sys/bus/pci/rescan`). The machine should have no card of v86's own: `net_device: { type: "none" }`.
 *
 * @throws TypeError if `emulator` is no v86 emulator, has not loaded yet, or is of a version whose inside is another
 * @throws RangeError if a card is attached already, the slot is taken, MSI-X is asked for without ACPI, or an option is
 * out of range; the message says what was got and what is allowed
 */
export function attachVirtioNet(emulator: object, options: VirtioNetOptions = {}): AttachedCard {
  const inside = insideOf(emulator);
  checkRoom(emulator, inside, options);
  const nowNs = () => inside.microtickMs() * 1e6;
  const { io, devices } = inside.cpu;
  const slot = new PciSlot(devices.pci, io.ports, options.slot ?? SLOT_DEFAULT, nowNs);
  const { bar = "io", msix = false, pairs = 1, mac = randomMac(), latencyIntervalNs } = options;
  const memory = new EmulatorRam(inside.cpu);
  const pins = new InterruptPins(inside.cpu, slot.pciId, options.onWake ?? null);
  const interrupts = new PciInterrupts(pins, options.onNotify);
  let onArrival = () => {};
  const networkId = options.networkId ?? (devices.net === undefined ? 0 : 1);
  const busPort = options.port === undefined ? new BusPort(inside.bus, networkId, nowNs, () => onArrival()) : null;
  const port = options.port ?? busPort!;
  try {
    // One vector for each queue, the control queue's too, and one for configuration changes.
    const vectors = msix ? 2 * pairs + 2 : 1;
    const card = new NetCard({ ...options, ...withheldBy(options), memory, port, interrupts, mac, vectors });
    const host = new HostWindow(card.throttle);
    const governor = latencyIntervalNs === undefined ? new LatencyGovernor(card, host, pairs) : null;
    for (let vector = 0; vector < vectors; vector++) {
      host.write(vector * THROTTLE_STRIDE + ITR_LATENCY, latencyIntervalNs ?? 0, nowNs());
    }
    let result: AttachedCard | null = null;
    const transport = new PciTransport(card, interrupts, { bar, msix, onBarChange: () => result?.mapBars() });
    result = new AttachedCard(inside, { card, host, transport, memory, slot, pins, busPort, governor }, () =>
      attached.delete(emulator),
    );
    onArrival = () => result.wakeLoop();
    attached.add(emulator);
    busPort?.announce(mac);
    return result;
  } catch (error) {
    busPort?.close();
    throw error;
  }
}

function withheldBy({ port, mtu = MTU_ETHERNET, withhold = [], extra = [], offer }: VirtioNetOptions) {
  if (offer !== undefined) return {};
  const onBus = port === undefined && mtu <= MTU_ETHERNET;
  const unasked = [...WITHHELD, ...(onBus ? WITHHELD_ON_BUS : [])].filter((name) => !extra.includes(name));
  return { withhold: [...withhold, ...unasked] };
}

function checkRoom(emulator: object, { cpu }: EmulatorInside, { msix, bar, networkId = 0 }: VirtioNetOptions): void {
  if (attached.has(emulator)) {
    throw new RangeError("attachVirtioNet: this emulator has a card already; detach() it first");
  }
  if (cpu.devices.virtio_net !== undefined) {
    throw new RangeError(
      'attachVirtioNet: the machine has v86\'s own virtio-net; make it with net_device: { type: "none" }',
    );
  }
  if (bar !== undefined && bar !== "io" && bar !== "memory") {
    throw new RangeError(`attachVirtioNet: bar is ${String(bar)}; it must be "io" or "memory"`);
  }
  if (!Number.isInteger(networkId) || networkId < 0) {
    throw new RangeError(`attachVirtioNet: networkId is ${networkId}; it must be an integer, 0 or more`);
  }
  if (msix === true && cpu.acpi_enabled[0] === 0) {
    throw new RangeError(
      "attachVirtioNet: msix is true, but the machine has no local APIC; make it with acpi: true, or leave msix out",
    );
  }
}

function randomMac(): number[] {
  return [2, ...Array.from({ length: 5 }, () => Math.floor(Math.random() * 256))];
}
