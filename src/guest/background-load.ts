/** Steps of one unit: about 3 µs, so that an interrupt or the host never waits longer. */
const STEPS_PER_UNIT = 2000;

/** The other work of a busy guest: a linear congruential generator, which no compiler can shorten. */
export class BackgroundLoad {
  workUnits = 0;
  /** Kept, so that the work has a result. */
  state = 1;

  runUnit(): void {
    let state = this.state;
    for (let i = 0; i < STEPS_PER_UNIT; i++) state = (Math.imul(state, 1664525) + 1013904223) | 0;
    this.state = state;
    this.workUnits++;
  }
}
