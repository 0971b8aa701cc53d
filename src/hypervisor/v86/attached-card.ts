/** A card in a v86 machine: what the embedder holds, and what keeps the card going. */

import type { HostWindow, NetCard, PciTransport } from "../../device/index.ts";
import { PCI_COMMON_REGISTERS } from "../../device/transport/pci-common-registers.ts";
import { MSIX_BAR, NOTIFY_AT_MEMORY, VIRTIO_BAR } from "../../device/transport/pci-layout.ts";
import type { BusPort } from "./bus-port.ts";
import type { EmulatorCpu, EmulatorInside } from "./emulator.ts";
import type { EmulatorRam } from "./emulator-ram.ts";
import type { InterruptPins } from "./interrupt-pins.ts";
import { IoWindow } from "./io-window.ts";
import type { LatencyGovernor } from "./latency-governor.ts";
import { MemoryWindow } from "./memory-window.ts";
import type { PciSlot } from "./pci-slot.ts";
import { restoreCard, STATE_INDEX, StateSlot, saveCard, savedCardIn } from "./saved-card.ts";
import { WorkLoop } from "./work-loop.ts";

/** Chains of each queue, and frames off the wire, at a time: a stretch of v86's instructions handles fewer. */
const BUDGET_FRAMES = 256;
const WORD_REGISTERS = new Set(PCI_COMMON_REGISTERS.filter(({ width }) => width === 2).map(({ offset }) => offset));

export interface AttachedParts {
  readonly card: NetCard;
  readonly host: HostWindow;
  readonly transport: PciTransport;
  readonly memory: EmulatorRam;
  readonly slot: PciSlot;
  readonly pins: InterruptPins;
  readonly busPort: BusPort | null;
  /** Null if the embedder has said what the latency interval is. */
  readonly governor: LatencyGovernor | null;
}

export class AttachedCard {
  readonly card: NetCard;
  /** The throttle's registers: intervals, guard, and the guest's state, which whoever stops the emulator tells here. */
  readonly host: HostWindow;
  readonly #parts: AttachedParts;
  readonly #inside: EmulatorInside;
  readonly #loop: WorkLoop;
  readonly #windows: readonly { readonly bar: number; readonly window: IoWindow | MemoryWindow }[];
  readonly #onDetach: () => void;
  readonly #device: StateSlot;
  readonly #originalSetState: EmulatorCpu["set_state"];
  readonly #setState: EmulatorCpu["set_state"];
  #attached = true;
  // A kick was dealt with in this stretch.
  #served = false;

  constructor(inside: EmulatorInside, parts: AttachedParts, onDetach: () => void) {
    const { cpu } = inside;
    this.#inside = inside;
    this.#parts = parts;
    this.card = parts.card;
    this.host = parts.host;
    this.#onDetach = onDetach;
    this.#windows = this.#makeWindows();
    parts.slot.plug(parts.transport);
    this.#loop = new WorkLoop(inside, (nowNs) => this.#work(nowNs));
    this.#device = new StateSlot(
      () => saveCard(parts, this.enter()),
      () => this.#reset(),
    );
    cpu.devices.virtio_net = this.#device;
    this.#originalSetState = cpu.set_state;
    this.#setState = (state) => {
      this.#originalSetState.call(cpu, state);
      if (this.#attached) this.#restore(state[STATE_INDEX]);
    };
    cpu.set_state = this.#setState;
  }

  /** Frames that were not delivered because of how they came: too short or too long, or more than the card could take. */
  get undelivered(): { readonly malformed: number; readonly dropped: number } {
    const { busPort } = this.#parts;
    return { malformed: busPort?.malformed ?? 0, dropped: busPort?.dropped ?? 0 };
  }

  /** MSI-X messages that the driver has sent to an address where no local APIC is. */
  get messagesLost(): number {
    return this.#parts.pins.messagesLost;
  }

  /** The port has a frame, or will have one sooner than it said: an emulator that sleeps looks at its card now. */
  wakeLoop(): void {
    this.#loop.wake();
  }

  /**
   * Does what is due, and returns when to call again, in ns of `nowNs()`: for a host that has stopped the emulator, whose
   * loop calls it otherwise. Interrupts wait until the emulator runs; wakes come at once.
   */
  poll(): number {
    if (!this.#attached) return Number.POSITIVE_INFINITY;
    this.card.poll(this.enter(), BUDGET_FRAMES);
    return this.card.nextDeadlineNs();
  }

  /** The clock that the card lives by: v86's own, in ns. */
  nowNs(): number {
    return this.#inside.microtickMs() * 1e6;
  }

  /** To be called before the card, or anything of it, is used from outside, for its memory may have moved; gives the time. */
  enter(): number {
    this.#parts.memory.follow();
    return this.nowNs();
  }

  /** Pulls the card out, whatever it is doing. A driver that goes on finds that nothing answers: all bits read 1. */
  detach(): void {
    if (!this.#attached) return;
    const { cpu } = this.#inside;
    this.#attached = false;
    this.#reset();
    this.#loop.close();
    for (const { window } of this.#windows) window.move(null);
    this.#parts.slot.unplug();
    this.#parts.busPort?.close();
    if (cpu.devices.virtio_net === this.#device) cpu.devices.virtio_net = undefined;
    if (cpu.set_state === this.#setState) cpu.set_state = this.#originalSetState;
    this.#onDetach();
  }

  /** The guest may have moved the BARs, or switched them on or off. */
  mapBars(): void {
    // Both are taken away first: one may move to where the other was.
    const places = this.#windows.map(({ bar, window }) => ({ window, address: this.#parts.transport.barAddress(bar) }));
    for (const { window, address } of places) if (window.address !== address) window.move(null);
    for (const { window, address } of places) window.move(address);
  }

  #makeWindows() {
    const { transport } = this.#parts;
    const { cpu } = this.#inside;
    const enter = () => this.enter();
    const isWord = (offset: number) => offset >= NOTIFY_AT_MEMORY || WORD_REGISTERS.has(offset);
    return [VIRTIO_BAR, MSIX_BAR].flatMap((bar) => {
      const shape = transport.bar(bar);
      if (shape === undefined) return [];
      const { kind, sizeBytes } = shape;
      const window =
        kind === "io"
          ? new IoWindow(cpu.io, transport, bar, sizeBytes, enter, () => this.#serveFirst())
          : new MemoryWindow(cpu, transport, bar, sizeBytes, bar === VIRTIO_BAR ? isWord : () => false, enter);
      return [{ bar, window }];
    });
  }

  /**
   * The first frame that the driver kicks for in a stretch goes out at once, for whoever waits for it, and the first command
   * is carried out, for which Linux spins. The queue is not armed anew, so that for the others of the stretch nobody kicks.
   */
  #serveFirst(): void {
    if (this.#served || this.card.workDueNs === Number.POSITIVE_INFINITY) return;
    this.#served = true;
    this.card.serve(this.nowNs(), 1);
  }

  /** Between two stretches of instructions. What else the driver has queued meanwhile is done here, in one go. */
  #work(nowNs: number): number {
    const { card, memory, pins, busPort, governor } = this.#parts;
    this.#served = false;
    memory.follow();
    card.poll(nowNs, BUDGET_FRAMES);
    governor?.govern(nowNs);
    busPort?.announce(card.config.mac);
    pins.flush();
    return card.nextDeadlineNs();
  }

  /** The machine was reset: nothing of the card's old life may touch memory any more. */
  #reset(): void {
    const { transport, pins } = this.#parts;
    transport.resetFunction(this.enter());
    pins.clear();
    this.mapBars();
  }

  #restore(state: unknown): void {
    // Whatever the state holds, the card's rings lay in the memory of before.
    this.#reset();
    const saved = savedCardIn(state);
    if (saved === null) return;
    try {
      restoreCard(saved, this.#parts, this.enter());
      this.#parts.governor?.restored(this.nowNs());
    } catch (error) {
      this.#reset();
      throw error;
    }
    this.mapBars();
    this.wakeLoop();
  }
}
