import {
  ACTIVATE_REASONS,
  CAUSE_KINDS,
  DEACTIVATE_REASONS,
  DROP_REASONS,
  EV_ACTIVATE,
  EV_ARRIVE,
  EV_CAUSE,
  EV_DEACTIVATE,
  EV_DELIVER,
  EV_DRAIN,
  EV_DROP,
  EV_NOTIFY,
  EV_NOTIFY_OFF,
  EV_NOTIFY_ON,
  EV_REFILL,
  EV_STATE,
  EV_THROTTLE,
  EV_WAKE,
  NOTIFY_REASONS,
  WAKE_REASONS,
} from "./event.ts";

/**
 * An event record as one line of JSON (docs/events.md). Everything that does not change from line to line is made into
 * text once: at millions of events the serialiser must not look at field names again.
 */
export class EventFormatter {
  /** `,"guest":"g0","ev":"` of each guest. */
  readonly #heads: readonly string[];

  /** The guests' names, in the order of their indices in records. */
  constructor(guestNames: readonly string[]) {
    this.#heads = guestNames.map((name) => `,"guest":${JSON.stringify(name)},"ev":"`);
  }

  /** The line without its newline. Throws RangeError for a kind, guest or reason that the vocabulary does not have. */
  format(tNs: number, kind: number, guest: number, a: number, b: number, c: number, d: number, e: number): string {
    const head = this.#heads[guest];
    if (head === undefined) throw new RangeError(`event of guest ${guest}: there are ${this.#heads.length}`);
    return `{"t":${tNs}${head}${body(kind, a, b, c, d, e)}}`;
  }
}

function body(kind: number, a: number, b: number, c: number, d: number, e: number): string {
  switch (kind) {
    case EV_ARRIVE:
      return `arrive","id":${a},"queue":${b},"len":${c}`;
    case EV_DELIVER:
      return `deliver","id":${a},"queue":${b},"buffers":${c},"free":${d}`;
    case EV_DROP:
      return `drop","id":${a},"queue":${b},"why":"${word(DROP_REASONS, c)}"`;
    case EV_DRAIN:
      return `drain","queue":${b},"first":${a},"last":${c}`;
    case EV_REFILL:
      return `refill","queue":${b},"n":${c}`;
    case EV_CAUSE:
      return `cause","vector":${a},"queue":${orNull(b)},"kind":"${word(CAUSE_KINDS, c)}"`;
    case EV_NOTIFY_OFF:
      return `notify-off","queue":${b}`;
    case EV_NOTIFY_ON:
      return `notify-on","queue":${b}`;
    case EV_NOTIFY:
      return `notify","vector":${a},"why":"${word(NOTIFY_REASONS, c)}"`;
    case EV_WAKE:
      return `wake","why":"${word(WAKE_REASONS, c)}"`;
    case EV_ACTIVATE:
      return `activate","cpu":${a},"why":"${word(ACTIVATE_REASONS, c)}","boosted":${d !== 0}`;
    case EV_DEACTIVATE:
      return `deactivate","why":"${word(DEACTIVATE_REASONS, c)}"`;
    case EV_STATE:
      return `state","seq":${a},"postedAt":${d}`;
    case EV_THROTTLE:
      // A guard of 0 is off; an interval of 0 is not: it means at once.
      return `throttle","vector":${a},"latencyNs":${orNull(b)},"overflowNs":${orNull(c)},"freeMin":${
        d > 0 ? d : null
      },"sliceEndNs":${orNull(e)}`;
    default:
      throw new RangeError(`event kind ${kind}: not in the vocabulary`);
  }
}

function word(words: readonly string[], index: number): string {
  const found = words[index];
  if (found === undefined) throw new RangeError(`reason ${index}: allowed are 0 to ${words.length - 1}`);
  return found;
}

/** Off, or not known, is a negative number or Infinity in a record: neither has a place in JSON. */
function orNull(value: number): number | null {
  return value >= 0 && value < Number.POSITIVE_INFINITY ? value : null;
}
