import type { RunScenario } from "../engine/run.ts";
import type { EngineKind } from "../scenario/scenario.ts";

/** What a command needs of the process around it; tests put their own in place. */
export interface CommandContext {
  readonly loadEngine: (kind: EngineKind) => Promise<RunScenario>;
  /** Standard output. */
  readonly print: (text: string) => void;
  readonly colours: boolean;
  /** Where progress may be shown; null = nowhere, for nobody would see it. */
  readonly progressTerminal: ProgressTerminal | null;
  /** Aborted by the first Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
}

export interface ProgressTerminal {
  readonly columns?: number;
  write(text: string): unknown;
}
