/** The entry of the thread that boots Linux once, and gives the state of the machine in which it then waits for commands. */
import { parentPort, workerData } from "node:worker_threads";
import type { LinuxSpec } from "../../scenario/scenario.ts";
import { makeLinuxEmulator } from "./linux-emulator.ts";
import { SerialShell } from "./serial-shell.ts";

/** A boot takes a minute on a busy machine; one that takes longer than this hangs. */
const BOOT_TIMEOUT_MS = 300_000;

const emulator = await makeLinuxEmulator(workerData as LinuxSpec);
const shell = new SerialShell(emulator);
await emulator.run();
const timer = setTimeout(() => {
  throw new Error(
    `the guest said no "#ready" on its first serial port within ${BOOT_TIMEOUT_MS / 1000} s of its boot; ` +
      `its kernel says: ${shell.kernelLog}`,
  );
}, BOOT_TIMEOUT_MS);
await shell.ready;
clearTimeout(timer);
await emulator.stop();
const state = await emulator.save_state();
parentPort!.postMessage(state, [state]);
