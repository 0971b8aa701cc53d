/** What the checker hands back: violations by rule (a bounded number of each), and how much it looked at. */

export interface Violation {
  readonly rule: string;
  /** Index of the run in the file, from 0, and its policy. */
  readonly run: number;
  readonly policy: string;
  readonly tNs: number;
  readonly guest: string | null;
  readonly expected: string;
  readonly seen: string;
}

export interface RunSummary {
  readonly run: number;
  readonly policy: string;
  readonly engine: string;
  readonly events: number;
  readonly endNs: number;
  readonly violations: number;
}

export interface CheckReport {
  readonly ok: boolean;
  readonly violations: readonly Violation[];
  /** All violations of each rule, the ones beyond the listed ones included. */
  readonly counts: Readonly<Record<string, number>>;
  /** How often each rule was put to the test; a rule that was never tested was not proved either. */
  readonly tested: Readonly<Record<string, number>>;
  readonly runs: readonly RunSummary[];
  /** What could not be judged, and why. */
  readonly notes: readonly string[];
}

export class Reporter {
  private readonly limit: number;
  private readonly violations: Violation[] = [];
  private readonly counts = new Map<string, number>();
  private readonly tests = new Map<string, number>();
  private readonly runs: RunSummary[] = [];
  private readonly notes = new Set<string>();
  private run = -1;
  private policy = "";
  private engine = "";
  private inRun = 0;

  /** `limit`: violations listed per rule; a broken rule is broken thousands of times, and twenty show how. */
  constructor(limit = 20) {
    this.limit = limit;
  }

  beginRun(policy: string, engine: string): void {
    this.run++;
    this.policy = policy;
    this.engine = engine;
    this.inRun = 0;
  }

  endRun(events: number, endNs: number): void {
    this.runs.push({
      run: this.run,
      policy: this.policy,
      engine: this.engine,
      events,
      endNs,
      violations: this.inRun,
    });
  }

  violation(rule: string, tNs: number, guest: string | null, expected: string, seen: string): void {
    const n = (this.counts.get(rule) ?? 0) + 1;
    this.counts.set(rule, n);
    this.inRun++;
    if (n > this.limit) return;
    this.violations.push({ rule, run: this.run, policy: this.policy, tNs, guest, expected, seen });
  }

  tested(rule: string): void {
    this.tests.set(rule, (this.tests.get(rule) ?? 0) + 1);
  }

  note(text: string): void {
    this.notes.add(`run ${this.run} (${this.policy}): ${text}`);
  }

  report(): CheckReport {
    const byName = (map: Map<string, number>) => Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
    return {
      ok: this.counts.size === 0,
      violations: this.violations,
      counts: byName(this.counts),
      tested: byName(this.tests),
      runs: this.runs,
      notes: [...this.notes],
    };
  }
}
