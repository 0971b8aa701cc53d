import { readFileSync } from "node:fs";

/** CPU time that the calling thread has used so far, ns; null where the system does not tell it per thread. */
export function threadCpuNs(): number | null {
  try {
    const cpuNs = Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[0]);
    return Number.isFinite(cpuNs) ? cpuNs : null;
  } catch {
    return null;
  }
}
