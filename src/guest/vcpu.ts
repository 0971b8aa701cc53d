/**
 * The body of a virtual CPU, one step at a time. The virtual engine calls `step` and charges for it; the worker calls
 * it in a loop. It is only ever parked between steps.
 *
 * What the host may rely on: a step that finds the receive ring empty also ends the polling, so a vCPU that is parked
 * with notifications off always has unread frames in its ring (DESIGN §7, R6).
 */
import type { Application } from "./applications/application.ts";
import type { NetDriver } from "./net-driver.ts";

/** Nothing to do until the next interrupt. */
export const STEP_IDLE = 0;
/** Frames were read and more may be there: polling goes on. */
export const STEP_POLLED = 1;
/** The ring was found empty, and still was with notifications on: polling has ended. */
export const STEP_DRAINED = 2;
/** No polling; the application sent of its own accord. */
export const STEP_SENT = 3;

export type StepResult = typeof STEP_IDLE | typeof STEP_POLLED | typeof STEP_DRAINED | typeof STEP_SENT;

export class Vcpu {
  readonly driver: NetDriver;
  readonly application: Application;
  /** Frames that the last step read, and that it sent, answers included. */
  polledFrames = 0;
  sentFrames = 0;

  constructor(driver: NetDriver, application: Application) {
    this.driver = driver;
    this.application = application;
  }

  /**
   * The interrupt service routine: `vectorBits` are the vectors that fired. The next step belongs to it: no parking in
   * between, for the interrupt may have been for something else than frames, and that step finds it out.
   */
  takeInterrupt(vectorBits: number): void {
    this.driver.interrupt(vectorBits);
  }

  /** `stateWord`: the guest's state word now, `seq << 2 | GUEST_STATE`; frames read in this step were read in that span. */
  step(budgetFrames: number, nowNs: number, stateWord: number): StepResult {
    const { driver, application } = this;
    application.intake.readNs = nowNs;
    application.intake.readState = stateWord;
    const polling = driver.polling;
    const sentBefore = driver.sent;
    this.polledFrames = polling ? driver.poll(budgetFrames) : 0;
    const worked = application.work(nowNs);
    // Answers to what was polled go out with what the application sends: one kick for all.
    driver.flush();
    this.sentFrames = driver.sent - sentBefore;
    if (!polling) return worked > 0 ? STEP_SENT : STEP_IDLE;
    return driver.foundEmpty && driver.pollDone() ? STEP_DRAINED : STEP_POLLED;
  }
}
