import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NaturalSlice, Setup } from "./virtual-host.ts";
import { VirtualHost } from "./virtual-host.ts";

/**
 * Random guests under both engines' manners. Slices are long against what R15 leaves to wakes (5 ms of 100 ms for each of
 * five vCPUs), so that no natural slice can be eaten up whole and waiting has a bound that can be proved.
 */
const MS = 1e6;
const BOOST_SHARE_MAX = 0.05;
const SLICE_NS = 40 * MS;
const SPEC = { sliceNs: SLICE_NS, wakeSliceNs: 2 * MS, boostShareMax: BOOST_SHARE_MAX };
const COSTS = { wakeLatencyNs: 50_000, switchNs: 10_000 };

interface Step {
  readonly afterNs: number;
  readonly what: "wake" | "idle" | "drained";
  readonly vcpu: number;
}

interface Case {
  readonly pcpus: number;
  readonly vcpus: number;
  readonly steps: readonly Step[];
}

function cases(...what: Step["what"][]): fc.Arbitrary<Case> {
  const step = fc.record({
    // Often at the very edges of latency and switch, or at once.
    afterNs: fc.oneof(fc.constantFrom(0, 10_000, 40_000, 50_000, SLICE_NS), fc.integer({ min: 0, max: 12 * MS })),
    what: fc.constantFrom(...what),
    vcpu: fc.nat(4),
  });
  return fc.record({
    pcpus: fc.integer({ min: 1, max: 3 }),
    vcpus: fc.integer({ min: 1, max: 5 }),
    steps: fc.array(step, { maxLength: 120 }),
  });
}

const delays = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5 * MS })), { minLength: 1, maxLength: 20 });

function cycle<T>(values: readonly T[]): () => T {
  let next = 0;
  return () => values[next++ % values.length]!;
}

function play(one: Case, setup: Setup, check: (host: VirtualHost) => void = () => {}): VirtualHost {
  const host = new VirtualHost({ spec: SPEC, costs: COSTS, ...setup, pcpus: one.pcpus, vcpus: one.vcpus });
  return replay(host, one, check);
}

function replay(host: VirtualHost, one: Case, check: (host: VirtualHost) => void = () => {}): VirtualHost {
  for (const { afterNs, what, vcpu } of one.steps) {
    host.run(host.nowNs + afterNs);
    host[what](vcpu % one.vcpus);
    check(host);
  }
  return host.run(host.nowNs + 500 * MS);
}

const inTime = (slices: readonly NaturalSlice[]) => [...slices].sort((a, b) => a.fromNs - b.fromNs || a.vcpu - b.vcpu);

describe("the scheduler under random wakes, idling and parking", () => {
  // The host throws on every activation that would put two vCPUs on one CPU or one vCPU on two, and on a stale deadline.
  it("never has two vCPUs on one CPU nor one vCPU on two, when vCPUs park at once", () => {
    fc.assert(fc.property(cases("wake", "idle", "drained"), (one) => void play(one, {})));
  });

  it("nor when they park late, with and without costs", () => {
    fc.assert(
      fc.property(cases("wake", "idle", "drained"), delays, fc.boolean(), (one, delaysNs, real) => {
        play(one, { costs: real ? null : COSTS, parkDelayNs: cycle(delaysNs) });
      }),
    );
  });

  it("nor when guests leave and cards wake from inside the scheduler's own calls", () => {
    const deedLists = fc.array(fc.constantFrom("wake", "idle", "drained", "nothing"), { maxLength: 100 });
    fc.assert(
      fc.property(cases("wake", "idle"), deedLists, fc.boolean(), (one, list, free) => {
        const deeds = list.values();
        const other = cycle([0, 3, 1, 4, 2]);
        const act = (host: VirtualHost, vcpu: number, nowNs: number) => {
          const what = deeds.next().value ?? "nothing";
          if (what === "wake") host.scheduler.wake(other() % one.vcpus, nowNs);
          else if (what !== "nothing") host[what as "idle" | "drained"](vcpu);
        };
        const host = new VirtualHost({
          spec: SPEC,
          costs: free ? { wakeLatencyNs: 0, switchNs: 0 } : COSTS,
          pcpus: one.pcpus,
          vcpus: one.vcpus,
        });
        host.onActivated = (vcpu, nowNs) => act(host, vcpu, nowNs);
        host.onParked = (vcpu, nowNs) => act(host, vcpu, nowNs);
        replay(host, one);
      }),
    );
  });

  it("leaves no CPU empty for longer than a wake's latency while a runnable vCPU waits", () => {
    fc.assert(
      fc.property(cases("wake", "idle", "drained"), (one) => {
        play(one, {}, (host) => {
          const cpus = Array.from({ length: one.pcpus }, (_, cpu) => cpu);
          const empty = cpus.filter((cpu) => host.activeOn(cpu) < 0);
          const owned = empty.filter((cpu) => host.scheduler.naturalOwner(cpu) >= 0);
          const coming = owned.map((cpu) => host.scheduler.naturalOwner(cpu));
          const waiting = [0, 1, 2, 3, 4].filter(
            (vcpu) =>
              vcpu < one.vcpus &&
              !host.scheduler.isActive(vcpu) &&
              !coming.includes(vcpu) &&
              host.scheduler.nextActivationNs(vcpu, host.nowNs) < Number.POSITIVE_INFINITY,
          );
          if (waiting.length > 0) expect(owned).toEqual(empty);
          if (owned.length > 0) expect(host.scheduler.nextDeadlineNs()).toBeLessThanOrEqual(host.nowNs + 50_000);
        });
      }),
    );
  });

  it("activates every runnable vCPU within as many slices as there are vCPUs", () => {
    fc.assert(
      fc.property(cases("wake", "idle", "drained"), (one) => {
        const host = new VirtualHost({ spec: SPEC, costs: COSTS, pcpus: one.pcpus, vcpus: one.vcpus });
        const waitsSince = new Map<number, number>();
        for (let vcpu = one.pcpus; vcpu < one.vcpus; vcpu++) waitsSince.set(vcpu, 0);
        const longest = { ns: 0 };
        const arrived = (vcpu: number, nowNs: number) => {
          longest.ns = Math.max(longest.ns, nowNs - (waitsSince.get(vcpu) ?? nowNs));
          waitsSince.delete(vcpu);
        };
        host.onActivated = arrived;
        host.onParked = (vcpu, nowNs) => waitsSince.set(vcpu, nowNs);
        for (const { afterNs, what, vcpu } of one.steps) {
          host.run(host.nowNs + afterNs);
          const who = vcpu % one.vcpus;
          const active = host.scheduler.isActive(who);
          host[what](who);
          if (what === "idle" && active && !host.scheduler.isActive(who)) waitsSince.delete(who);
          else if (what === "wake" && !host.scheduler.isActive(who) && !waitsSince.has(who)) {
            waitsSince.set(who, host.nowNs);
          }
        }
        host.run(host.nowNs + 500 * MS);
        for (const sinceNs of waitsSince.values()) longest.ns = Math.max(longest.ns, host.nowNs - sinceNs);
        expect(longest.ns).toBeLessThanOrEqual(one.vcpus * SLICE_NS);
      }),
    );
  });

  it("answers a boosted wake that meets no other within the wake latency", () => {
    fc.assert(
      fc.property(cases("wake", "idle", "drained"), (one) => {
        const host = new VirtualHost({ spec: SPEC, costs: COSTS, pcpus: one.pcpus, vcpus: one.vcpus });
        const owed = new Map<number, number>();
        const outstanding = new Set<number>();
        host.onActivated = (vcpu, nowNs) => {
          expect(nowNs).toBeLessThanOrEqual(owed.get(vcpu) ?? nowNs);
          owed.delete(vcpu);
          outstanding.delete(vcpu);
        };
        for (const { afterNs, what, vcpu } of one.steps) {
          host.run(host.nowNs + afterNs);
          const who = vcpu % one.vcpus;
          const { wakes, unboosted } = host.scheduler.stats;
          const before = wakes[who]! - unboosted[who]!;
          host[what](who);
          if (wakes[who]! - unboosted[who]! === before) continue;
          const inWakeSlices = host.spans.some((span) => span.inWakeSlice && span.toNs > host.nowNs - 60_000);
          if (outstanding.size === 0 && !inWakeSlices) owed.set(who, host.nowNs + 50_000);
          else owed.clear();
          outstanding.add(who);
        }
        host.run(host.nowNs + 500 * MS);
        expect([...outstanding]).toEqual([]);
      }),
    );
  });

  it("has the same natural slices with any wakes as without, as long as nobody idles, however late vCPUs park", () => {
    fc.assert(
      fc.property(cases("wake", "drained"), fc.option(delays), (one, delaysNs) => {
        const parkDelayNs = delaysNs === null ? null : cycle(delaysNs);
        const woken = play(one, { parkDelayNs });
        const quiet = new VirtualHost({ spec: SPEC, costs: COSTS, pcpus: one.pcpus, vcpus: one.vcpus });
        quiet.run(woken.nowNs);
        expect(inTime(woken.natural)).toEqual(inTime(quiet.natural));
      }),
    );
  });

  it("R15: no vCPU spends more than its share of any 100 ms in wake slices", () => {
    const flood = fc.record({
      pcpus: fc.integer({ min: 1, max: 2 }),
      vcpus: fc.integer({ min: 2, max: 4 }),
      steps: fc.array(
        fc.record({
          afterNs: fc.integer({ min: 0, max: 2 * MS }),
          what: fc.constantFrom("wake", "wake", "wake", "idle", "drained"),
          vcpu: fc.nat(3),
        }),
        { minLength: 100, maxLength: 200 },
      ),
    });
    let exhausted = 0;
    fc.assert(
      fc.property(flood, (one) => {
        const host = play(one, {});
        for (let vcpu = 0; vcpu < one.vcpus; vcpu++) {
          const used = host.spans
            .filter((span) => span.vcpu === vcpu && span.inWakeSlice)
            .map((span) => [span.fromNs, Math.min(span.toNs, span.absorbedNs)] as const);
          for (const [, edgeNs] of used) {
            let inWindowNs = 0;
            for (const [fromNs, toNs] of used) {
              inWindowNs += Math.max(0, Math.min(toNs, edgeNs) - Math.max(fromNs, edgeNs - 100 * MS));
            }
            if (inWindowNs > BOOST_SHARE_MAX * 100 * MS) expect.fail(`vCPU ${vcpu}: ${inWindowNs} ns to ${edgeNs}`);
          }
          if (host.scheduler.stats.unboosted[vcpu]! > 0) exhausted++;
        }
      }),
    );
    expect(exhausted).toBeGreaterThan(0);
  });

  it("does the same twice", () => {
    fc.assert(
      fc.property(cases("wake", "idle", "drained"), delays, fc.boolean(), (one, delaysNs, credit) => {
        const spec = { ...SPEC, kind: credit ? ("credit" as const) : ("round-robin" as const) };
        const first = play(one, { spec, parkDelayNs: cycle(delaysNs) });
        const second = play(one, { spec, parkDelayNs: cycle(delaysNs) });
        expect(second.log).toEqual(first.log);
      }),
    );
  });

  it("tells every plan that changes: whoever is asked to park at the end of a slice was told of that instant", () => {
    fc.assert(
      fc.property(cases("wake", "idle", "drained"), (one) => {
        const host = play(one, {});
        const told = new Map<string, number>();
        for (const line of host.log) {
          const [atNs, , deed] = line.split(" ");
          const vcpu = deed!.slice(1);
          if (deed!.startsWith("-")) expect([line, told.get(vcpu)]).toEqual([line, Number(atNs)]);
          else told.set(vcpu, Number(line.split(" to ")[1]));
        }
      }),
    );
  });
});
