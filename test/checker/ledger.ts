/**
 * Where every frame of one guest is: on the wire, in a ring, read or dropped (DESIGN §11: the wire never waits,
 * arrived = delivered + dropped, delivered = read + unread). In the threads engine several threads write the file, so
 * there a frame may be delivered, and its read reported, within a tolerance; in virtual time everything is exact.
 */

import type { Arrive, Deliver, Drain, Drop, GuestHeader, Refill } from "./events.ts";
import type { Reporter } from "./report.ts";
import { FrameQueue, IdSet } from "./samples.ts";

/** Told of every frame read: when it arrived, when it was read, and the tag it was given at its arrival. */
export type ReadSink = (arrivedNs: number, tag: number, readNs: number) => void;

interface OnWire {
  readonly t: number;
  readonly queue: number;
  readonly tag: number;
}

export class FrameLedger {
  private readonly report: Reporter;
  private readonly guest: GuestHeader;
  private readonly toleranceNs: number;
  private readonly onRead: ReadSink;
  private readonly seen = new IdSet();
  private readonly wire = new Map<number, OnWire>();
  private readonly rings = new Map<number, FrameQueue>();
  private readonly free = new Map<number, number>();
  private early: Drain[] = [];
  arrived = 0;
  delivered = 0;
  dropped = 0;
  read = 0;
  lastArrivalNs = Number.NEGATIVE_INFINITY;
  /** When the rings last became empty; only meaningful while they are. */
  emptySinceNs = 0;

  constructor(report: Reporter, guest: GuestHeader, toleranceNs: number, onRead: ReadSink) {
    this.report = report;
    this.guest = guest;
    this.toleranceNs = toleranceNs;
    this.onRead = onRead;
  }

  get unread(): number {
    return this.delivered - this.read;
  }

  arrive(e: Arrive, tag: number): void {
    this.report.tested("B.ids");
    if (!this.seen.add(e.id)) this.bad("B.ids", e.t, "an id of its own for each frame", `id ${e.id} again`);
    this.sweep(e.t);
    this.arrived++;
    this.lastArrivalNs = e.t;
    this.wire.set(e.id, { t: e.t, queue: e.queue, tag });
  }

  deliver(e: Deliver): void {
    const from = this.offWire(e);
    this.delivered++;
    this.ring(e.queue).push(e.id, from?.t ?? e.t, from?.tag ?? -1);
    this.countBuffers(e);
    if (this.early.length > 0) this.retry(e.t);
  }

  drop(e: Drop): void {
    this.offWire(e);
    this.dropped++;
  }

  drain(e: Drain): void {
    this.report.tested("B.drain");
    if (this.take(e)) return;
    if (this.toleranceNs > 0) this.early.push(e);
    else this.misread(e);
  }

  refill(e: Refill): void {
    const free = this.freeOf(e.queue) + e.n;
    this.free.set(e.queue, free);
    this.report.tested("B.free");
    if (this.guest.ring !== null && this.toleranceNs === 0 && free > this.guest.ring) {
      this.bad("B.free", e.t, `at most ${this.guest.ring} free buffers on queue ${e.queue}`, `${free} after a refill`);
    }
  }

  /** The run is over: what is still on the wire, or was reported as read and never delivered, is an error. */
  end(tNs: number): void {
    for (const e of this.early) this.misread(e);
    for (const [id, at] of this.wire) {
      this.bad("B.wire", at.t, `frame ${id} delivered or dropped`, `neither, until the run's end at ${tNs}`);
    }
    this.report.tested("B.balance");
    if (this.arrived !== this.delivered + this.dropped + this.wire.size) {
      const seen = `${this.arrived} arrived, ${this.delivered} delivered, ${this.dropped} dropped`;
      this.bad("B.balance", tNs, "arrived = delivered + dropped", seen);
    }
  }

  /** §11: at the instant of its arrival a frame is in the ring or dropped, and nothing waits in front of the ring. */
  private offWire(e: Deliver | Drop): OnWire | undefined {
    this.report.tested("B.wire");
    const from = this.wire.get(e.id);
    if (from === undefined) {
      this.bad("B.wire", e.t, `${e.ev} of a frame on the wire`, `${e.ev} of frame ${e.id}, which is not there`);
      return undefined;
    }
    this.wire.delete(e.id);
    if (Math.abs(e.t - from.t) > this.toleranceNs) {
      this.bad("B.wire", e.t, `frame ${e.id} to leave the wire at ${from.t}`, `${e.ev} at ${e.t}`);
    }
    if (e.queue !== from.queue && e.ev === "deliver" && from.queue >= 0) {
      this.bad("B.wire", e.t, `frame ${e.id} on queue ${from.queue}, as it arrived`, `queue ${e.queue}`);
    }
    return from;
  }

  /** A frame that nobody took off the wire in time, reported once; it then counts as gone, so that memory stays bounded. */
  private sweep(tNs: number): void {
    for (const [id, at] of this.wire) {
      if (tNs - at.t <= this.toleranceNs) return;
      this.bad("B.wire", at.t, `frame ${id} delivered or dropped at ${at.t}`, `still on the wire at ${tNs}`);
      this.wire.delete(id);
    }
  }

  /** `free` is what the device counts; in virtual time it must be the start value less what was used, plus refills. */
  private countBuffers(e: Deliver): void {
    const expected = this.freeOf(e.queue) - e.buffers;
    this.free.set(e.queue, e.free);
    this.report.tested("B.free");
    if (this.toleranceNs === 0) {
      if (e.free === expected && e.free >= 0) return;
      this.bad("B.free", e.t, `${expected} free buffers on queue ${e.queue} after frame ${e.id}`, `${e.free}`);
    } else if (e.free < 0 || (this.guest.ring !== null && e.free > this.guest.ring)) {
      this.bad("B.free", e.t, `0 to ${this.guest.ring} free buffers on queue ${e.queue}`, `${e.free}`);
    }
  }

  private freeOf(queue: number): number {
    const start = this.guest.free;
    return this.free.get(queue) ?? (typeof start === "number" ? start : (start[queue] ?? 0));
  }

  private ring(queue: number): FrameQueue {
    let ring = this.rings.get(queue);
    if (ring === undefined) {
      ring = new FrameQueue();
      this.rings.set(queue, ring);
    }
    return ring;
  }

  /** Takes the frames of a drain out of the ring; false, with nothing changed, if they are not the oldest ones in order. */
  private take(e: Drain): boolean {
    const ring = this.ring(e.queue);
    const count = e.count ?? ring.indexOf(e.last) + 1;
    if (count <= 0 || count > ring.length || ring.idAt(0) !== e.first || ring.idAt(count - 1) !== e.last) return false;
    if (e.ids?.some((id, i) => ring.idAt(i) !== id)) return false;
    for (let i = 0; i < count; i++) this.onRead(ring.arrivedAt(i), ring.tagAt(i), e.t);
    ring.remove(count);
    this.read += count;
    if (this.unread === 0) this.emptySinceNs = e.t;
    return true;
  }

  /** Reads that were reported before the delivery, by a thread whose record came first. */
  private retry(tNs: number): void {
    const waiting = this.early;
    this.early = [];
    for (const e of waiting) {
      if (this.take(e)) continue;
      if (tNs - e.t > this.toleranceNs) this.misread(e);
      else this.early.push(e);
    }
  }

  private misread(e: Drain): void {
    const ring = this.ring(e.queue);
    const head = ring.length === 0 ? "an empty ring" : `${ring.length} frames from ${ring.idAt(0)}`;
    const seen = `${e.count ?? "?"} frames, ${e.first} to ${e.last}, read from ${head}`;
    this.bad("B.drain", e.t, "the oldest delivered frames, in order, each once", seen);
    // Go on behind the frames named, if they are there: one slip is one violation, not one per later drain.
    const upTo = ring.indexOf(e.last) + 1;
    if (upTo === 0) return;
    ring.remove(upTo);
    this.read += upTo;
    if (this.unread === 0) this.emptySinceNs = e.t;
  }

  private bad(rule: string, tNs: number, expected: string, seen: string): void {
    this.report.violation(rule, tNs, this.guest.name, expected, seen);
  }
}
