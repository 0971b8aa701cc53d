import type { RunScenario } from "../engine/run.ts";
import type { EngineKind } from "../scenario/scenario.ts";

/** The engine of that kind. Loaded when needed: neither should cost the other's start-up time. */
export async function loadEngine(kind: EngineKind): Promise<RunScenario> {
  if (kind === "threads") return (await import("../engine/threads/run-threads.ts")).runThreads;
  return (await import("../engine/virtual/run-virtual.ts")).runVirtual;
}
