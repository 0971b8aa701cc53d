/**
 * One guest's figures, recomputed from its events (DESIGN §11). Knows definitions only: what a figure counts, and not
 * whether the card was right to do what it did.
 */

import type { Cause, Deliver, Drop, GuestEvent, GuestHeader, Notify, Suppress, Throttle } from "./events.ts";
import { type Distribution, Samples } from "./samples.ts";

export interface GuestFigures {
  readonly notifications: Record<"total" | Notify["why"], number>;
  readonly wakes: Record<"total" | "overflow" | "guard" | "urgent" | "config" | "coalesced" | "unboosted", number>;
  readonly activations: number;
  readonly activeNs: number;
  readonly notifyNs: Distribution;
  readonly latencyNs: Distribution;
  readonly latencyCutNs: Distribution;
  readonly latencyInactiveNs: Distribution;
}

interface RxCause {
  readonly sinceNs: number;
  /** The active span in which it was latched, or INACTIVE. */
  readonly span: number;
  /** The driver has switched notifications off and on since: it re-read the ring, and the next cause begins a new batch. */
  stale: boolean;
}

const INACTIVE = -1;

export class Figures {
  private readonly notifications = { total: 0, latency: 0, guard: 0, urgent: 0, wake: 0, config: 0 };
  private readonly wakes = { total: 0, overflow: 0, guard: 0, urgent: 0, config: 0, coalesced: 0, unboosted: 0 };
  private readonly notifyNs = new Samples();
  private readonly latencyNs = new Samples();
  private readonly cutNs = new Samples();
  private readonly inactiveNs = new Samples();
  private readonly freeMin = new Map<number, number>();
  private readonly vectorOf = new Map<number, number>();
  private readonly suppressed = new Set<number>();
  private readonly causes = new Map<number, RxCause>();
  private active: boolean;
  private activeFromNs = 0;
  private activeNs = 0;
  private activations = 0;
  private span = 0;
  private wakeOutstanding = false;

  constructor(header: GuestHeader) {
    this.active = header.active;
  }

  /** The span that a frame arriving now belongs to; given back to `read` when the frame is read. */
  get tag(): number {
    return this.active ? this.span : INACTIVE;
  }

  /** §11: which of the three latencies a frame counts to depends on the guest's state at its arrival and ever since. */
  read(arrivedNs: number, tag: number, readNs: number): void {
    const samples = tag === INACTIVE ? this.inactiveNs : tag === this.tag ? this.latencyNs : this.cutNs;
    samples.add(readNs - arrivedNs);
  }

  take(e: GuestEvent): void {
    switch (e.ev) {
      case "deliver":
        this.coalesce(e, e.free);
        break;
      case "drop":
        if (e.why === "no-buffer") this.coalesce(e, 0);
        break;
      case "cause":
        this.cause(e);
        break;
      case "notify-off":
        this.suppressed.add(e.queue);
        break;
      case "notify-on":
        this.enable(e);
        break;
      case "notify":
        this.notify(e);
        break;
      case "wake":
        this.wakes.total++;
        this.wakes[e.why]++;
        this.wakeOutstanding = true;
        break;
      case "activate":
        // Unboosted: the host made the guest runnable without boost (R15), seen at the activation that ends the wake.
        if (this.wakeOutstanding && !e.boosted) this.wakes.unboosted++;
        this.activations++;
        this.wakeOutstanding = false;
        this.open(e.t);
        break;
      case "deactivate":
        this.close(e.t);
        break;
      case "throttle":
        this.program(e);
        break;
      default:
    }
  }

  end(tNs: number): GuestFigures {
    this.close(tNs);
    return {
      notifications: this.notifications,
      wakes: this.wakes,
      activations: this.activations,
      activeNs: this.activeNs,
      notifyNs: this.notifyNs.distribution(),
      latencyNs: this.latencyNs.distribution(),
      latencyCutNs: this.cutNs.distribution(),
      latencyInactiveNs: this.inactiveNs.distribution(),
    };
  }

  private open(tNs: number): void {
    if (!this.active) this.activeFromNs = tNs;
    this.active = true;
  }

  private close(tNs: number): void {
    if (!this.active) return;
    this.activeNs += tNs - this.activeFromNs;
    this.active = false;
    this.span++;
  }

  private program(e: Throttle): void {
    this.freeMin.set(e.vector, e.freeMin ?? 0);
  }

  /** R2: while a wake is outstanding, further reasons are counted and not raised. The guard's are the visible ones. */
  private coalesce(e: Deliver | Drop, free: number): void {
    if (!this.wakeOutstanding) return;
    const vector = this.vectorOf.get(e.queue) ?? Math.min(...this.freeMin.keys());
    const freeMin = this.freeMin.get(vector) ?? 0;
    if (freeMin > 0 && free <= freeMin) this.wakes.coalesced++;
  }

  private cause(e: Cause): void {
    if (e.kind === "config") return;
    this.vectorOf.set(e.queue, e.vector);
    if (e.kind !== "rx") return;
    const old = this.causes.get(e.queue);
    if (old === undefined || old.stale) this.causes.set(e.queue, { sinceNs: e.t, span: this.tag, stale: false });
  }

  private enable(e: Suppress): void {
    const cause = this.causes.get(e.queue);
    if (cause !== undefined && this.suppressed.has(e.queue)) cause.stale = true;
    this.suppressed.delete(e.queue);
  }

  private notify(e: Notify): void {
    this.notifications.total++;
    this.notifications[e.why]++;
    if (e.why === "config") return;
    let first: RxCause | undefined;
    for (const [queue, cause] of this.causes) {
      if (this.vectorOf.get(queue) !== e.vector) continue;
      this.causes.delete(queue);
      if (first === undefined || cause.sinceNs < first.sinceNs) first = cause;
    }
    if (first !== undefined && first.span !== INACTIVE && first.span === this.tag)
      this.notifyNs.add(e.t - first.sinceNs);
  }
}
