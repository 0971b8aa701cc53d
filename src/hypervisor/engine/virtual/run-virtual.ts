import { performance } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import { type CardObserver, GuestMemory, type InterruptSink, MmioTransport, NetCard } from "../../../device/index.ts";
import type { Application } from "../../../guest/applications/application.ts";
import type { NetDriver } from "../../../guest/net-driver.ts";
import type { RegisterPort } from "../../../guest/ports.ts";
import { coalescingUnder } from "../../governor/guest-coalescing.ts";
import { allocateSharedRam, copyWithinOf } from "../../machine/shared-ram.ts";
import { SampleLog } from "../../report/percentiles.ts";
import type { GuestResult, RunResult } from "../../report/result.ts";
import type { GuestSpec, PolicySpec, Scenario } from "../../scenario/scenario.ts";
import { CardRecorder } from "../card-recorder.ts";
import { DriverRecorder } from "../driver-recorder.ts";
import { GuestGovernor } from "../guest-governor.ts";
import { cardCounts, guestResult, readerCounts } from "../guest-result.ts";
import { applicationOptions, cardMtu, driverOptions, SETTLE_NS, sendStagingBytes } from "../guest-settings.ts";
import type { RunHooks } from "../run.ts";
import { macOf, makeWire, namedNotes, stagingBytesFor, type Wire } from "../wire.ts";
import { VirtualGuest } from "./virtual-guest.ts";
import { VirtualHost } from "./virtual-host.ts";
import { VirtualVcpu } from "./virtual-vcpu.ts";

/** The event loop gets its turn this often, so that Ctrl-C is heard and progress is seen. */
const TURN_MS = 40;
const EVENTS_PER_CLOCK_READING = 4096;
const COMMAND_BUDGET = 64;

type GuestModule = typeof import("../../../guest/index.ts");

/** One guest of a run, with what its result is made of. */
interface Running {
  readonly guest: VirtualGuest;
  readonly wire: Wire;
  readonly driver: NetDriver;
  readonly application: Application;
  readonly notifyNs: SampleLog;
}

/** Runs one policy in virtual time: deterministic, the same scenario gives the same events and the same result. */
export async function runVirtual(scenario: Scenario, policy: PolicySpec, hooks: RunHooks): Promise<RunResult> {
  const guestModule: GuestModule = await import("../../../guest/index.ts");
  const clock = { nowNs: 0 };
  const running = scenario.guests.map((spec, index) => build(guestModule, scenario, policy, spec, index, hooks, clock));
  try {
    const host = new VirtualHost(
      scenario,
      running.map(({ guest }) => guest),
      hooks.events,
      clock,
    );
    for (const { wire } of running) wire.port.begin(0);
    host.begin();
    const endNs = await play(host, running, scenario, hooks);
    return resultOf(scenario, policy, running, endNs, hooks.signal.aborted);
  } finally {
    for (const { wire } of running) wire.port.close();
  }
}

function build(
  guestModule: GuestModule,
  scenario: Scenario,
  policy: PolicySpec,
  spec: GuestSpec,
  index: number,
  hooks: RunHooks,
  clock: { nowNs: number },
): Running {
  const options = driverOptions(scenario, spec);
  const stagingBytes = stagingBytesFor(scenario);
  const sendBytes = sendStagingBytes(scenario);
  const ram = allocateSharedRam(guestModule.guestRamBytes(options), stagingBytes + sendBytes);
  const region = { guestAddress: 0, sizeBytes: ram.ramBytes, byteOffset: 0 };
  const memory = new GuestMemory(ram.buffer, [region], copyWithinOf(ram.memory));
  const staging = { bytes: memory.u8, startOffset: ram.stagingOffset, lengthBytes: stagingBytes };
  const wire = makeWire(scenario, spec, index, staging);

  const notifyNs = new SampleLog();
  const recorder = new CardRecorder(hooks.events, index, notifyNs);
  const target: { guest: VirtualGuest | null } = { guest: null };
  const interrupts: InterruptSink = {
    notify(vector, why, nowNs) {
      recorder.notified(vector, why, nowNs);
      target.guest?.vcpu.interrupt(vector, nowNs);
    },
    wake(_vcpu, why, nowNs) {
      recorder.woken(why, nowNs);
      target.guest?.onWake();
    },
  };
  // Without an event log only causes are of interest: the card is spared the calls for every frame.
  const observer: CardObserver = recorder;
  const card = new NetCard({
    memory,
    port: wire.port,
    interrupts,
    observer,
    mac: macOf(index),
    mtu: cardMtu(scenario, spec),
    queueSizeMax: spec.ring,
    txStaging: { bytes: memory.u8, offset: ram.stagingOffset + stagingBytes, lengthBytes: sendBytes },
  });
  const registers = directRegisters(new MmioTransport(card), clock);
  // A control command is answered at the next poll, so the driver's wait is one.
  const patience = { relax: () => void card.poll(clock.nowNs, COMMAND_BUDGET), relaxMax: 4 };
  const guestRam = { buffer: ram.buffer, byteOffset: 0, sizeBytes: ram.ramBytes };
  const driverObserver = hooks.events === null ? null : new DriverRecorder(hooks.events, index, () => clock.nowNs);
  const driver = new guestModule.NetDriver(registers, guestRam, options, patience, driverObserver);
  if (!driver.initialise()) throw new Error("the driver does not find the card");
  const coalescing = coalescingUnder(policy, spec);
  if (coalescing !== null) driver.setCoalescing("rx", coalescing.maxUsecs, coalescing.maxPackets);
  const application = guestModule.makeApplication(applicationOptions(spec, index), driver);
  const vcpu = new VirtualVcpu(
    new guestModule.Vcpu(driver, application),
    scenario.costs,
    guestModule,
    clock,
    spec.app === "sink" && hooks.events === null,
  );
  const { wakeLatencyNs, isrNs, frameCostNs, refillBatch } = scenario.costs;
  const governor = new GuestGovernor(policy, scenario, spec, wakeLatencyNs, isrNs + refillBatch * frameCostNs);
  const guest = new VirtualGuest({ card, wire, vcpu, recorder, governor, idles: spec.load === "idle" });
  guest.throttle.setUrgent(scenario.urgent, 0);
  target.guest = guest;
  return { guest, wire, driver, application, notifyNs };
}

function directRegisters(mmio: MmioTransport, clock: { readonly nowNs: number }): RegisterPort {
  return {
    read: (offset, widthBytes) => mmio.read(offset, widthBytes, clock.nowNs),
    write: (offset, widthBytes, value) => mmio.write(offset, widthBytes, value, clock.nowNs),
  };
}

/** Lets virtual time pass until all traffic has ended and settled, or the signal comes; returns when that was. */
async function play(
  host: VirtualHost,
  running: readonly Running[],
  scenario: Scenario,
  hooks: RunHooks,
): Promise<number> {
  let endNs = scenario.durationNs === null ? Number.POSITIVE_INFINITY : scenario.durationNs + SETTLE_NS;
  let turnEndsMs = performance.now() + TURN_MS;
  for (;;) {
    for (let i = 0; i < EVENTS_PER_CLOCK_READING; i++) {
      const nextNs = host.nextNs;
      if (nextNs > endNs) return endNs;
      host.advance();
      // The last frame of the last guest sets the end; until then no timer can be the last.
      if (endNs === Number.POSITIVE_INFINITY && hasEnded(running)) endNs = host.nowNs + SETTLE_NS;
    }
    if (performance.now() < turnEndsMs) continue;
    hooks.progress(scenario.durationNs === null ? null : Math.min(1, host.nowNs / endNs));
    await setImmediate();
    if (hooks.signal.aborted) return host.nowNs;
    turnEndsMs = performance.now() + TURN_MS;
  }
}

function hasEnded(running: readonly Running[]): boolean {
  for (let i = 0; i < running.length; i++) {
    const { wire, application } = running[i]!;
    if (wire.port.nextArrivalNs() < Number.POSITIVE_INFINITY || !application.done) return false;
  }
  return true;
}

function resultOf(
  scenario: Scenario,
  policy: PolicySpec,
  running: readonly Running[],
  durationNs: number,
  interrupted: boolean,
): RunResult {
  const guests = running.map(({ guest, wire, driver, application, notifyNs }, index): GuestResult => {
    const card = cardCounts(guest.card, wire, notifyNs);
    const reader = readerCounts(driver.received, application.intake);
    const { activations, unboosted } = guest;
    return guestResult(scenario.guests[index]!.name, card, reader, {
      activations,
      unboosted,
      activeNs: guest.activeNs(durationNs),
    });
  });
  const sum = (figure: (guest: GuestResult) => number): number =>
    guests.reduce((total, guest) => total + figure(guest), 0);
  const notifications = sum((guest) => guest.notifications.total);
  const wakes = sum((guest) => guest.wakes.total);
  const switches = sum((guest) => guest.activations);
  const { wakeLatencyNs, isrNs, frameCostNs, switchNs } = scenario.costs;
  const cpuNs =
    wakes * wakeLatencyNs + notifications * isrNs + sum((guest) => guest.read) * frameCostNs + switches * switchNs;
  // A change of state reaches the card at the instant it is posted, and deadlines are met to the nanosecond.
  const exact = { p50: 0, p99: 0 };
  return {
    policy: policy.name,
    engine: "virtual",
    durationNs,
    interrupted,
    stateChangeNs: exact,
    latenessNs: exact,
    trafficLatenessNs: exact,
    guests,
    host: { interrupts: notifications + wakes, switches, cpuNs },
    notes: running.flatMap(({ wire }, index) => namedNotes(scenario.guests[index]!.name, wire)),
  };
}
