import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import * as ev from "../../../../src/hypervisor/events/event.ts";
import { EventFormatter } from "../../../../src/hypervisor/events/ndjson.ts";

function words(markdown: string): string[] {
  return [...markdown.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "");
}

const formatter = new EventFormatter(["g0", 'he said "hi"\\']);

describe("an event's line", () => {
  // The lines are written out as docs/events.md has them, down to the order of the fields.
  it.each<[what: string, record: [number, number, number, number, number, number], line: string]>([
    ["arrive", [ev.EV_ARRIVE, 1, 0, 60, 0, 0], '"ev":"arrive","id":1,"queue":0,"len":60'],
    ["deliver", [ev.EV_DELIVER, 1, 0, 2, 1022, 0], '"ev":"deliver","id":1,"queue":0,"buffers":2,"free":1022'],
    ["drop", [ev.EV_DROP, 1, 0, 0, 0, 0], '"ev":"drop","id":1,"queue":0,"why":"no-buffer"'],
    ["drop while suspended", [ev.EV_DROP, 1, 0, 4, 0, 0], '"ev":"drop","id":1,"queue":0,"why":"suspended"'],
    ["drain", [ev.EV_DRAIN, 7, 2, 9, 3, 0], '"ev":"drain","queue":2,"first":7,"last":9'],
    ["refill", [ev.EV_REFILL, 0, 2, 16, 0, 0], '"ev":"refill","queue":2,"n":16'],
    ["cause", [ev.EV_CAUSE, 0, 0, 0, 0, 0], '"ev":"cause","vector":0,"queue":0,"kind":"rx"'],
    ["cause without a queue", [ev.EV_CAUSE, 0, -1, 3, 0, 0], '"ev":"cause","vector":0,"queue":null,"kind":"config"'],
    ["notify-off", [ev.EV_NOTIFY_OFF, 0, 2, 0, 0, 0], '"ev":"notify-off","queue":2'],
    ["notify-on", [ev.EV_NOTIFY_ON, 0, 2, 0, 0, 0], '"ev":"notify-on","queue":2'],
    ["notify", [ev.EV_NOTIFY, 3, 0, 1, 0, 0], '"ev":"notify","vector":3,"why":"guard"'],
    ["wake", [ev.EV_WAKE, 0, 0, 2, 0, 0], '"ev":"wake","why":"urgent"'],
    ["activate", [ev.EV_ACTIVATE, 2, 0, 1, 1, 0], '"ev":"activate","cpu":2,"why":"wake","boosted":true'],
    ["activate unboosted", [ev.EV_ACTIVATE, 2, 0, 2, 0, 0], '"ev":"activate","cpu":2,"why":"resume","boosted":false'],
    ["deactivate", [ev.EV_DEACTIVATE, 0, 0, 2, 0, 0], '"ev":"deactivate","why":"idle"'],
    ["state", [ev.EV_STATE, 5, 0, 0, 123, 0], '"ev":"state","seq":5,"postedAt":123'],
    [
      "throttle",
      [ev.EV_THROTTLE, 0, 125_000, 2_000_000, 44, 3_000_000],
      '"ev":"throttle","vector":0,"latencyNs":125000,"overflowNs":2000000,"freeMin":44,"sliceEndNs":3000000',
    ],
    [
      "throttle with guard off and slice end unknown",
      [ev.EV_THROTTLE, 0, 0, 0, 0, -1],
      '"ev":"throttle","vector":0,"latencyNs":0,"overflowNs":0,"freeMin":null,"sliceEndNs":null',
    ],
    [
      "throttle with both intervals off",
      [ev.EV_THROTTLE, 0, -1, Number.POSITIVE_INFINITY, 1, 0],
      '"ev":"throttle","vector":0,"latencyNs":null,"overflowNs":null,"freeMin":1,"sliceEndNs":0',
    ],
  ])("of %s has these fields in this order", (_what, [kind, a, b, c, d, e], line) => {
    expect(formatter.format(123, kind, 0, a, b, c, d, e)).toBe(`{"t":123,"guest":"g0",${line}}`);
  });

  it("has the keys that docs/events.md lists for it", () => {
    const documented = new Map<string, string[]>();
    for (const [, names = "", keys = ""] of readFileSync("docs/events.md", "utf8").matchAll(
      /^\| (`[^|]*) \| (`[^|]*) \|/gm,
    )) {
      for (const name of words(names)) documented.set(name, words(keys));
    }
    for (let kind = ev.EV_ARRIVE; kind <= ev.EV_THROTTLE; kind++) {
      const { t: _t, guest: _guest, ev: name, ...rest } = JSON.parse(formatter.format(1, kind, 0, 0, 0, 0, 0, 0));
      expect(Object.keys(rest), name).toEqual(documented.get(name));
    }
  });

  it("keeps every digit of a time of eleven days", () => {
    expect(formatter.format(999_999_999_999_999, ev.EV_WAKE, 0, 0, 0, 0, 0, 0)).toContain('"t":999999999999999,');
  });

  it("is JSON whatever the guest is called", () => {
    const line = formatter.format(1, ev.EV_WAKE, 1, 0, 0, 0, 0, 0);
    expect(JSON.parse(line)).toEqual({ t: 1, guest: 'he said "hi"\\', ev: "wake", why: "overflow" });
  });

  it("is refused for a kind, a guest or a reason that does not exist", () => {
    expect(() => formatter.format(1, 99, 0, 0, 0, 0, 0, 0)).toThrow(RangeError);
    expect(() => formatter.format(1, ev.EV_WAKE, 2, 0, 0, 0, 0, 0)).toThrow(RangeError);
    expect(() => formatter.format(1, ev.EV_WAKE, 0, 0, 0, 4, 0, 0)).toThrow(RangeError);
  });
});

describe("the formatter", () => {
  it("makes half a million lines a second at the very least", () => {
    const started = performance.now();
    let length = 0;
    for (let i = 0; i < 500_000; i++) length += formatter.format(i * 700, ev.EV_ARRIVE, 0, i, 0, 60, 0, 0).length;
    expect(length).toBeGreaterThan(500_000 * 50);
    // The target is a million on an idle machine; tests share theirs.
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
