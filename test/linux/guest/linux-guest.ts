/**
 * A stock Debian Linux in v86. Its kernel's console is the second serial port, the shell of its first process the first
 * one, so that neither disturbs the other.
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { V86 } from "v86";
import type { Ingredients } from "../debian/ingredients.ts";
import { KernelLog } from "./kernel-log.ts";
import { type CommandResult, SerialShell } from "./serial-shell.ts";

export interface MachineOptions {
  /** With ACPI Linux uses the APICs, and MSI-X works. */
  readonly acpi?: boolean;
  /** v86's own card, or none. */
  readonly netDevice?: "none" | "virtio";
  /** Default 128. */
  readonly memoryMb?: number;
  /** Words for the kernel's command line. */
  readonly kernelWords?: string;
}

export const MACHINE_DEFAULTS: Required<MachineOptions> = {
  acpi: false,
  netDevice: "none",
  memoryMb: 128,
  kernelWords: "",
};

export interface BootImages {
  readonly ingredients: Ingredients;
  readonly initramfs: Buffer;
}

/** A boot takes 20 s; on a machine that is very busy with other things it takes minutes, and one that takes longer hangs. */
const BOOT_TIMEOUT_MS = 900_000;
const COMMAND_TIMEOUT_MS = 240_000;

export class LinuxGuest {
  readonly emulator: V86;
  readonly kernelLog: KernelLog = new KernelLog();
  readonly #shell: SerialShell;

  private constructor(emulator: V86) {
    this.emulator = emulator;
    this.#shell = new SerialShell(
      (text) => emulator.serial0_send(text),
      () => `\nKernel: ${this.kernelLog.tail}`,
    );
    emulator.add_listener("serial0-output-byte", (byte) => this.#shell.take(byte));
    emulator.add_listener("serial1-output-byte", (byte) => this.kernelLog.take(byte));
  }

  /** Boots; `beforeRun` may attach devices that the BIOS is to find. */
  static async boot(
    images: BootImages,
    options: MachineOptions,
    beforeRun: (emulator: V86) => void = () => {},
  ): Promise<LinuxGuest> {
    const guest = new LinuxGuest(makeMachine(images, options));
    await guest.#loaded();
    beforeRun(guest.emulator);
    void guest.emulator.run();
    try {
      await within(BOOT_TIMEOUT_MS, guest.#shell.ready, () => `the guest did not boot: ${guest.kernelLog.tail}`);
    } catch (error) {
      await guest.destroy();
      throw error;
    }
    guest.kernelLog.endBoot();
    return guest;
  }

  /**
   * Goes on where a guest with the same images and options was when its state was saved. A card that the state knows must
   * be there before it is restored, another one may come after.
   */
  static async resume(
    images: BootImages,
    options: MachineOptions,
    state: ArrayBuffer,
    attach: { readonly before?: (emulator: V86) => void; readonly after?: (emulator: V86) => void },
  ): Promise<LinuxGuest> {
    const guest = new LinuxGuest(makeMachine(images, options));
    await guest.#loaded();
    attach.before?.(guest.emulator);
    await guest.emulator.restore_state(state);
    attach.after?.(guest.emulator);
    guest.#shell.assumeReady();
    void guest.emulator.run();
    return guest;
  }

  /** Runs a line of shell in the guest; see `SerialShell.run`. */
  run(command: string, timeoutMs: number = COMMAND_TIMEOUT_MS): Promise<CommandResult> {
    return this.#shell.run(command, timeoutMs);
  }

  /**
   * Output of a command that must succeed.
   * @throws Error if its exit code is not 0
   */
  async output(command: string, timeoutMs: number = COMMAND_TIMEOUT_MS): Promise<string> {
    const { output, exitCode } = await this.run(command, timeoutMs);
    if (exitCode !== 0) throw new Error(`"${command}" ended with ${exitCode}: ${output}`);
    return output.trimEnd();
  }

  async destroy(): Promise<void> {
    this.#shell.abandon(new Error("the guest was destroyed"));
    await this.emulator.destroy();
  }

  #loaded(): Promise<void> {
    return new Promise((resolve) => this.emulator.add_listener("emulator-loaded", () => resolve()));
  }
}

function makeMachine({ ingredients, initramfs }: BootImages, options: MachineOptions): V86 {
  const { acpi, netDevice, memoryMb, kernelWords } = { ...MACHINE_DEFAULTS, ...options };
  return new V86({
    wasm_path: createRequire(import.meta.url).resolve("v86/build/v86.wasm"),
    bios: image(ingredients.bios),
    vga_bios: image(ingredients.vgaBios),
    bzimage: image(ingredients.kernel),
    initrd: { buffer: toArrayBuffer(initramfs) },
    // A guest that panics must not boot again, but show what happened.
    cmdline: `console=ttyS1,115200 loglevel=5 panic=0 ${kernelWords}`,
    memory_size: memoryMb << 20,
    vga_memory_size: 1 << 20,
    // "none" is not in the types of v86 0.5.462.
    net_device: { type: netDevice as "virtio" },
    uart1: true,
    acpi,
    autostart: false,
    disable_speaker: true,
    disable_keyboard: true,
    disable_mouse: true,
  });
}

const image = (path: string): { buffer: ArrayBuffer } => ({ buffer: toArrayBuffer(readFileSync(path)) });

function toArrayBuffer(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** `promise`, or an error with `explain`'s words if it has not settled within `timeoutMs`. */
async function within<T>(timeoutMs: number, promise: Promise<T>, explain: () => string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(explain())), timeoutMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
