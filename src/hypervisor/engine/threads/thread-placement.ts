import { execFileSync } from "node:child_process";
import { readlinkSync } from "node:fs";
import { availableParallelism } from "node:os";

/**
 * Where a run's threads run, as far as the system lets us say.
 *
 * An operating system's scheduler spreads threads over CPUs for throughput: a thread that has just been woken may wait for
 * milliseconds behind a busy one while another CPU idles. Here every wake-up counts. So the device thread gets a CPU of
 * its own, the vCPUs get the others, and host and device go before guests.
 */
export interface ThreadPlacement {
  /** What could not be had; for the result's notes. */
  readonly notes: readonly string[];
  /** Gives the calling thread back what it had before. */
  undo(): void;
}

export interface PlacedThreads {
  readonly device: number;
  readonly vcpus: readonly number[];
}

/** Lowest real-time priority: enough to go before all ordinary threads. */
const REAL_TIME_PRIORITY = "1";

/** Linux's number of the calling thread, 0 elsewhere. */
export function ownThreadId(): number {
  try {
    return Number(readlinkSync("/proc/thread-self").split("/").at(-1));
  } catch {
    return 0;
  }
}

export function placeThreads({ device, vcpus }: PlacedThreads): ThreadPlacement {
  const notes: string[] = [];
  const cpus = availableParallelism();
  const host = ownThreadId();
  if (cpus > 1 && [device, ...vcpus].every((thread) => thread > 0)) {
    const pinned =
      tryRun("taskset", "-cp", String(cpus - 1), String(device)) &&
      vcpus.every((thread) => tryRun("taskset", "-cp", `0-${cpus - 2}`, String(thread)));
    if (!pinned) notes.push("threads could not be bound to CPUs: wake-ups may take milliseconds");
  }
  // Reset on fork (-R): what these threads start is ordinary again.
  const realTime = [device, host].every(
    (thread) => thread > 0 && tryRun("chrt", "-R", "-r", "-p", REAL_TIME_PRIORITY, String(thread)),
  );
  if (!realTime) notes.push("no real-time priority for host and device: other programs can delay them");
  return {
    notes,
    undo: () => {
      if (realTime) tryRun("chrt", "-o", "-p", "0", String(host));
    },
  };
}

function tryRun(command: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    // Not Linux, not installed, or not allowed: the caller says so.
    return false;
  }
}
