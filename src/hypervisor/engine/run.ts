import type { EventLog } from "../events/event.ts";
import type { RunResult } from "../report/result.ts";
import type { PolicySpec, Scenario } from "../scenario/scenario.ts";

/** What a run needs besides its scenario. */
export interface RunHooks {
  /** Receives every event, in time order; null = nobody listens, nothing is recorded. */
  readonly events: EventLog | null;
  /** Called a few times a second with the share done, 0…1, or null where it is not known. */
  readonly progress: (share: number | null) => void;
  /** Aborting ends the run early; the result so far is returned with `interrupted: true`. */
  readonly signal: AbortSignal;
}

/** One policy on one scenario. Throws UserError (cli) for unusable input such as an unreadable capture. */
export type RunScenario = (scenario: Scenario, policy: PolicySpec, hooks: RunHooks) => Promise<RunResult>;
