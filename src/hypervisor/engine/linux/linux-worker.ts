/** The entry of a Linux guest's worker: piscina calls the default export with a task and gets its report. */
import type { V86 } from "v86";
import {
  HOST_DOORBELL,
  SYSTEM_BLOCK_WORDS,
  VCPU_BLOCK_WORDS,
  VCPU_FAILED,
  VCPU_STATUS,
  VCPU_STOPPED,
  VCPU_THREAD_ID,
} from "../../../device/spec/control-block.ts";
import { ringDoorbell } from "../../machine/doorbell.ts";
import { DatagramFrames } from "../../traffic/datagram-frames.ts";
import { EventRingLog } from "../threads/event-ring-log.ts";
import { runClockOffsetNs, startRunClock } from "../threads/run-clock.ts";
import { ownThreadId } from "../threads/thread-placement.ts";
import { longestFrameBytes, macOf } from "../wire.ts";
import { EmulatorStretches } from "./emulator-stretches.ts";
import { countersSince, readCounters } from "./guest-counters.ts";
import { addressOf, bringUp } from "./guest-setup.ts";
import { LinuxCard } from "./linux-card.ts";
import { makeLinuxEmulator } from "./linux-emulator.ts";
import type { LinuxReport, LinuxRun, LinuxTask } from "./linux-task.ts";
import { LinuxVcpu } from "./linux-vcpu.ts";
import { SerialShell } from "./serial-shell.ts";

/** So many frames are handled before the run: by then v86 has translated the way through the kernel. */
const WARM_UP_FRAMES = 4000;
const WARM_UP_TIMEOUT_MS = 120_000;
const LOOK_MS = 1;

export default async function runLinux(task: LinuxTask): Promise<LinuxReport> {
  const words = new Int32Array(task.control, task.vcpuBlockWord * 4, VCPU_BLOCK_WORDS);
  const system = new Int32Array(task.control, 0, SYSTEM_BLOCK_WORDS);
  words[VCPU_THREAD_ID] = ownThreadId();
  let emulator: V86 | null = null;
  try {
    emulator = await makeLinuxEmulator(task.scenario.linux!);
    return { error: null, run: await play(emulator, task, words, system) };
  } catch (reason) {
    Atomics.store(words, VCPU_STATUS, VCPU_FAILED);
    ringDoorbell(system, HOST_DOORBELL);
    return { error: reason instanceof Error ? reason.message : String(reason), run: null };
  } finally {
    await emulator?.destroy();
  }
}

async function play(emulator: V86, task: LinuxTask, words: Int32Array, system: Int32Array): Promise<LinuxRun> {
  const { setup, eventRing, clockBase, timerMarginNs } = task;
  const log = eventRing === null ? null : new EventRingLog(eventRing);
  const clock = startRunClock(clockBase);
  await emulator.restore_state(new Uint8Array(new Uint8Array(task.state)).buffer);
  const card = new LinuxCard(emulator, task, words, system, runClockOffsetNs(clockBase), log);
  const shell = new SerialShell(emulator);
  await emulator.run();
  await bringUp(shell, setup);
  await warmUp(card, task);
  const before = await readCounters(shell);
  await emulator.stop();
  card.start();
  const stretches = new EmulatorStretches(emulator, (nowNs) => card.lookAtDriver(nowNs));
  await new LinuxVcpu({ words, system, card, stretches, clock, log, timerMarginNs }).run();
  card.stop();
  log?.advance(Number.POSITIVE_INFINITY);
  Atomics.store(words, VCPU_STATUS, VCPU_STOPPED);
  ringDoorbell(system, HOST_DOORBELL);
  // The run is over; the guest goes on by itself to say what it has counted.
  await emulator.run();
  const counts = countersSince(before, await readCounters(shell));
  const counted = card.counts();
  const { samples, tracker } = card;
  return {
    card: counted,
    reader: {
      read: tracker.read,
      lost: Math.max(0, tracker.read - counts.rxPackets),
      duplicated: Math.max(0, counts.rxPackets - counted.delivered),
      // A kernel does not tell.
      reordered: 0,
      corrupted: counts.udpChecksumErrors + counts.rxErrors,
      latencyNs: tracker.waits.latencyNs.toArray(),
      latencyCutNs: tracker.waits.latencyCutNs.toArray(),
      latencyInactiveNs: tracker.waits.latencyInactiveNs.toArray(),
    },
    counts,
    stateChangeNs: samples.stateChangeNs.toArray(),
    latenessNs: samples.latenessNs.toArray(),
    trafficLatenessNs: samples.trafficLatenessNs.toArray(),
    eventsLost: log?.lost ?? 0,
  };
}

async function warmUp(card: LinuxCard, { scenario, setup }: LinuxTask): Promise<void> {
  const { guestIndex } = setup;
  const frames = new DatagramFrames({
    slotBytes: longestFrameBytes(scenario),
    destinationMac: macOf(guestIndex),
    destinationAddress: addressOf(guestIndex),
    seed: scenario.seed,
  });
  card.port.startWarmUp(frames, WARM_UP_FRAMES);
  card.attached.wakeLoop();
  const timeoutMs = performance.now() + WARM_UP_TIMEOUT_MS;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    if (performance.now() > timeoutMs) throw new Error(`the guest did not handle ${WARM_UP_FRAMES} frames of warm-up`);
    if (!card.isDrained) continue;
    if (card.port.continueWarmUp()) return;
    card.attached.wakeLoop();
  }
}
