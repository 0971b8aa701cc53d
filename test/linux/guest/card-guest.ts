/** A Linux guest with our card in it, on whatever port a test gives. */

import { FAULTS, type FramePort, type NetCard } from "spillway/device";
import { type AttachedCard, attachVirtioNet, type VirtioNetOptions } from "spillway/v86";
import { inject } from "vitest";
import { macBytes } from "../wire/packets.ts";
import { bootedState, bootImages } from "./booted-state.ts";
import { LinuxGuest, type MachineOptions } from "./linux-guest.ts";

export interface Address {
  readonly mac: string;
  readonly ip: string;
}

/** A port that says when a frame waits for the card. */
export interface WakingPort extends FramePort {
  onWaiting: () => void;
}

export interface CardGuestOptions {
  readonly machine?: MachineOptions;
  readonly card?: Omit<VirtioNetOptions, "port" | "mac">;
}

export interface AttachedLinux {
  readonly linux: LinuxGuest;
  readonly attached: AttachedCard;
}

/** Resumes a booted Linux, and puts the card in. */
export async function attachedLinux(
  port: WakingPort,
  { mac }: Address,
  { machine = {}, card = {} }: CardGuestOptions,
): Promise<AttachedLinux> {
  const images = bootImages(inject("ingredients")!);
  let attached: AttachedCard | undefined;
  const linux = await LinuxGuest.resume(images, machine, await bootedState(images, machine), (emulator) => {
    attached = attachVirtioNet(emulator, { port, mac: macBytes(mac), ...card });
  });
  port.onWaiting = () => attached!.wakeLoop();
  await linux.output("echo 1 >/sys/bus/pci/rescan");
  // It finds fault with devices of the machine itself, as at boot.
  linux.kernelLog.endBoot();
  return { linux, attached: attached! };
}

export class CardGuest {
  readonly linux: LinuxGuest;
  readonly attached: AttachedCard;
  readonly card: NetCard;
  readonly address: Address;

  constructor({ linux, attached }: AttachedLinux, address: Address) {
    this.linux = linux;
    this.attached = attached;
    this.card = attached.card;
    this.address = address;
  }

  static async startAt(port: WakingPort, address: Address, options: CardGuestOptions = {}): Promise<CardGuest> {
    const guest = new CardGuest(await attachedLinux(port, address, options), address);
    await guest.configure();
    return guest;
  }

  /** Address and link of `eth0`, as after each time that the driver is bound. */
  async configure(): Promise<void> {
    await this.run(`ip addr add ${this.address.ip}/24 dev eth0 && ip link set eth0 up`);
  }

  /** Output of a command that must succeed. */
  run(command: string, timeoutMs?: number): Promise<string> {
    return this.linux.output(command, timeoutMs);
  }

  /** A value below /sys/class/net/eth0. */
  net(name: string): Promise<string> {
    return this.run(`cat /sys/class/net/eth0/${name}`);
  }

  /** Bits of the features that the driver has accepted. */
  async negotiated(): Promise<number[]> {
    const bits = await this.run("cat /sys/bus/virtio/drivers/virtio_net/virtio*/features");
    return [...bits].flatMap((bit, index) => (bit === "1" ? [index] : []));
  }

  /** Interrupts that the guest has counted for the card, all vectors together. */
  async interrupts(): Promise<number> {
    const lines = await this.run("grep virtio /proc/interrupts");
    return lines.split("\n").reduce((sum, line) => sum + Number(/^ *\d+: +(\d+)/.exec(line)?.[1]), 0);
  }

  /** A counter of `ethtool -S`. */
  async counter(name: string): Promise<number> {
    const [, value] = new RegExp(`^ *${name}: (\\d+)$`, "m").exec(await this.run("ethtool -S eth0")) ?? [];
    return Number(value);
  }

  /** What is wrong so far: complaints of the kernel, and faults of its driver that the card has counted. */
  faults(): string[] {
    const { faults, queues, needsReset } = this.card.statistics;
    const counted = FAULTS.flatMap(({ name }, code) => {
      const count = queues.reduce((sum, queue) => sum + queue.faults[code]!, faults[code]!);
      return count === 0 ? [] : [`${name}: ${count}`];
    });
    return [
      ...this.linux.kernelLog.complaints,
      ...counted,
      ...(needsReset === 0 ? [] : [`needs reset: ${needsReset}`]),
    ];
  }

  async destroy(): Promise<void> {
    await this.linux.destroy();
  }
}
