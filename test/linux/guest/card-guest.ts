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

export interface CardGuestOptions {
  readonly machine?: MachineOptions;
  readonly card?: Omit<VirtioNetOptions, "port" | "mac">;
}

export interface AttachedLinux {
  readonly linux: LinuxGuest;
  readonly attached: AttachedCard;
}

/** Resumes a booted Linux, and puts the card in; with `state` one whose card was saved with it. Whoever has the port wakes the card's loop when a frame waits there. */
export async function attachedLinux(
  port: FramePort,
  { mac }: Address,
  { machine = {}, card = {} }: CardGuestOptions,
  state?: ArrayBuffer,
): Promise<AttachedLinux> {
  const images = bootImages(inject("ingredients")!);
  let attached: AttachedCard | undefined;
  const attach = (emulator: object): void => {
    attached = attachVirtioNet(emulator, { port, mac: macBytes(mac), ...card });
  };
  if (state !== undefined) {
    const linux = await LinuxGuest.resume(images, machine, state, { before: attach });
    return { linux, attached: attached! };
  }
  const linux = await LinuxGuest.resume(images, machine, await bootedState(images, machine), { after: attach });
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

  static async startAt(port: FramePort, address: Address, options: CardGuestOptions = {}): Promise<CardGuest> {
    const guest = new CardGuest(await attachedLinux(port, address, options), address);
    await guest.configure();
    return guest;
  }

  /** Goes on where a guest at such a port was when its state was saved. */
  static async restoreAt(
    port: FramePort,
    address: Address,
    state: ArrayBuffer,
    options: CardGuestOptions = {},
  ): Promise<CardGuest> {
    return new CardGuest(await attachedLinux(port, address, options, state), address);
  }

  /** Takes one connection to `port` in the background, until `received` asks what came. */
  async listen(port: number): Promise<void> {
    const ready = `/tmp/ready-${port}`;
    await this.run(
      `rm -f ${ready}; tcp-sink ${port} /tmp/got-${port} >/tmp/result-${port} 2>${ready} & ` +
        `until grep -q listening ${ready}; do sleep 0.1; done`,
    );
  }

  /** How many bytes came on the connection, once it has ended, and the SHA-256 of the first MiB, which all others equalled. */
  async received(port: number): Promise<{ bytes: number; sha256: string }> {
    const result = await this.run(`until grep . /tmp/result-${port}; do sleep 0.1; done`);
    const [bytes, differing] = result.split(" ").map(Number);
    if (differing !== 0) throw new Error(`${differing} MiB of ${bytes} bytes differ from the first one`);
    return { bytes: bytes!, sha256: await this.run(`sha256sum </tmp/got-${port}`) };
  }

  /** Makes a MiB that is like no other, and returns its SHA-256. */
  makeData(): Promise<string> {
    return this.run("head -c 1048576 /dev/urandom >/tmp/data && sha256sum </tmp/data");
  }

  /**
   * What TCP's counters tell of damage or loss: segments in error, with a wrong checksum, and lost. A sender that gets no
   * answer for a while sends its last segment again to find out (TCPLossProbes); if the other end says that it has that
   * already (a DSACK), nothing was lost.
   */
  async tcpTroubles(): Promise<{ inErrors: number; checksumErrors: number; lost: number }> {
    const lines = (await this.run("grep -E '^Tcp(Ext)?:' /proc/net/snmp /proc/net/netstat -h")).split("\n");
    const value = (name: string): number => {
      const at = lines.findIndex((line) => line.split(" ").includes(name));
      return Number(lines[at + 1]!.split(" ")[lines[at]!.split(" ").indexOf(name)]);
    };
    return {
      inErrors: value("InErrs"),
      checksumErrors: value("InCsumErrors"),
      lost: value("RetransSegs") - value("TCPDSACKRecvSegs"),
    };
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
