/** A Linux guest with one of the two cards in it: ours, or v86's own. Frames pass on v86's message bus, or through a port of ours. */

import type { FramePort } from "spillway/device";
import { type AttachedCard, attachVirtioNet } from "spillway/v86";
import { fetchIngredients } from "../debian/ingredients.ts";
import { bootedState, bootImages } from "../guest/booted-state.ts";
import { LinuxGuest, type MachineOptions } from "../guest/linux-guest.ts";

export type Design = "spillway" | "v86";

export interface BenchGuestOptions {
  readonly design: Design;
  readonly ip: string;
  /** Our card's port in place of the bus. */
  readonly port?: FramePort;
  /** Of our card; its default if left out. */
  readonly latencyIntervalNs?: number;
}

const MACHINE: Readonly<Record<Design, MachineOptions>> = {
  spillway: { netDevice: "none" },
  v86: { netDevice: "virtio" },
};

/** Boots what the guests go on from, if that is not in the cache. */
export async function prepareGuests(): Promise<void> {
  const images = bootImages(fetchIngredients());
  for (const machine of Object.values(MACHINE)) await bootedState(images, machine);
}

/** v86's message bus, which its types leave out. */
interface Bus {
  send(name: string, value: unknown): void;
  register(name: string, listener: (value: Uint8Array) => void): void;
}

export class BenchGuest {
  readonly linux: LinuxGuest;
  /** Null if the card is v86's own. */
  readonly attached: AttachedCard | null;
  /** Address of the card. */
  readonly mac: string;
  readonly #bus: Bus;
  #lastEmptyInterrupt = "";

  private constructor(linux: LinuxGuest, attached: AttachedCard | null, mac: string) {
    this.linux = linux;
    this.attached = attached;
    this.mac = mac;
    this.#bus = (linux.emulator as unknown as { bus: Bus }).bus;
  }

  static async start({ design, ip, port, latencyIntervalNs }: BenchGuestOptions): Promise<BenchGuest> {
    const images = bootImages(fetchIngredients());
    const machine = MACHINE[design];
    let attached: AttachedCard | null = null;
    const after = (emulator: object): void => {
      if (design === "v86") return;
      attached = attachVirtioNet(emulator, {
        ...(port === undefined ? {} : { port }),
        ...(latencyIntervalNs === undefined ? {} : { latencyIntervalNs }),
      });
    };
    const linux = await LinuxGuest.resume(images, machine, await bootedState(images, machine), { after });
    if (design === "spillway") await linux.output("echo 1 >/sys/bus/pci/rescan");
    // What the guest sends by itself would be counted.
    await linux.output("echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
    await linux.output(`ip addr add ${ip}/24 dev eth0 && ip link set eth0 up`);
    return new BenchGuest(linux, attached, await linux.output("cat /sys/class/net/eth0/address"));
  }

  send(frame: Uint8Array): void {
    this.#bus.send("net0-receive", frame);
  }

  onSent(listener: (frame: Uint8Array) => void): void {
    this.#bus.register("net0-send", listener);
  }

  /** Interrupts that the guest has counted for its card. */
  async interrupts(): Promise<number> {
    return Number((await this.linux.output("grep virtio /proc/interrupts")).trim().split(/ +/)[1]);
  }

  /**
   * True if an interrupt of the card has found nothing in any ring since the last call. The kernel's count of them begins anew
   * now and then, but it keeps the time of the last one.
   */
  async sawEmptyInterrupt(): Promise<boolean> {
    const last = await this.linux.output(
      "n=$(grep virtio /proc/interrupts | cut -d: -f1); grep last_unhandled /proc/irq/$((n))/spurious",
    );
    const saw = last !== this.#lastEmptyInterrupt;
    this.#lastEmptyInterrupt = last;
    return saw;
  }

  /** Frames that the guest lost below its sockets: in the card, in the driver, in the queue before the stack. */
  async lostBelowSockets(): Promise<number> {
    const files = "/sys/class/net/eth0/statistics/rx_dropped /sys/class/net/eth0/statistics/rx_errors";
    const [dropped, errors, softnet] = (await this.linux.output(`cat ${files} /proc/net/softnet_stat`)).split("\n");
    const queues = this.attached?.card.statistics.queues ?? [];
    const inCard = queues.reduce((sum, queue) => sum + queue.dropped, this.attached?.undelivered.dropped ?? 0);
    return Number(dropped) + Number(errors) + Number.parseInt(softnet!.split(" ")[1]!, 16) + inCard;
  }
}
