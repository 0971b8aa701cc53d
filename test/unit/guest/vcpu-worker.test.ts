import { fileURLToPath } from "node:url";
import { Piscina } from "piscina";
import { afterEach, describe, expect, it } from "vitest";
import { EVENT_CAPACITY, eventRingBytes } from "../../../src/device/spec/event-ring.ts";
import type { VcpuReport, VcpuTask } from "../../../src/guest/task.ts";
import { FakeDevice } from "./fake-device.ts";
import { stampedFrame } from "./reference-stamp.ts";
import { ASK, ScriptedHost, STATUS } from "./scripted-host.ts";

const WORKER = fileURLToPath(new URL("../../../dist/guest/vcpu-worker.js", import.meta.url));
const RAM_BYTES = 1 << 20;

let pools: Piscina[] = [];

afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.destroy()));
  pools = [];
});

function startVcpu(chosen: Partial<VcpuTask> = {}, epoch = 0) {
  const device = new FakeDevice(RAM_BYTES);
  const host = new ScriptedHost(device);
  host.words[host.vcpuBlockWord + 98] = epoch;
  const base = process.hrtime.bigint();
  const nowNs = () => Number(process.hrtime.bigint() - base);
  const task: VcpuTask = {
    guestIndex: 0,
    memory: device.ram.buffer as SharedArrayBuffer,
    memoryOffset: device.ram.byteOffset,
    memoryBytes: device.ram.sizeBytes,
    control: host.control,
    vcpuBlockWord: host.vcpuBlockWord,
    systemBlockWord: host.systemBlockWord,
    clockBase: base,
    driver: { ring: 64 },
    application: { kind: "sink" },
    load: "idle",
    coalesce: null,
    budgetFrames: 16,
    eventRing: null,
    ...chosen,
  };
  // A vCPU parks in its own Atomics.wait: piscina is not to wait for tasks in the same manner.
  const pool = new Piscina({
    filename: WORKER,
    minThreads: 1,
    maxThreads: 1,
    idleTimeout: 60_000,
    atomics: "disabled",
  });
  pools.push(pool);
  const report = pool.run(task) as Promise<VcpuReport>;
  report.catch((error: unknown) => {
    host.workerError = error;
  });
  let sequence = 0;
  return {
    device,
    host,
    /** Delivers `count` frames now; sends the interrupt if the driver wants one and the guest may have it. */
    deliver(count: number, active = true): boolean {
      const frames = Array.from({ length: count }, () =>
        stampedFrame({ lengthBytes: 80, flow: 0, sequence: sequence++, arrivalNs: nowNs(), state: host.stateWord }),
      );
      const wanted = device.deliver(...frames);
      if (wanted && active) host.notify();
      return wanted;
    },
    /** Served while it is awaited. */
    async stop(): Promise<VcpuReport> {
      host.ask(ASK.stop);
      await host.until("the vCPU has stopped", () => host.status === STATUS.stopped || host.status === STATUS.failed);
      return await report;
    },
    report,
  };
}

const read = (device: FakeDevice) => device.receive.waiting;

describe("a vCPU worker", () => {
  it("starts parked if asked to, and reads in each life of its state what the card delivered", async () => {
    const guest = startVcpu();
    const { device, host } = guest;
    host.ask(ASK.park);
    expect(host.hostRings).toBe(0);
    await host.until("the driver is up and parked", () => host.status === STATUS.preempted);
    await host.until("the host was told", () => host.hostRings === 1);
    expect(device.status).toBe(15);
    expect(read(device)).toBe(64);

    // Inactive: frames wait, nobody reads.
    guest.deliver(5, false);
    host.activate(ASK.run, true);
    await host.until("the frames are read", () => read(device) === 64);

    // Active: each batch by its own interrupt.
    for (let i = 0; i < 20; i++) {
      guest.deliver(10);
      await host.until("the batch is read", () => read(device) === 64);
    }
    await host.until("the vCPU is idle", () => host.status === STATUS.idle);

    // Idle but not claimed: an interrupt brings it back, no host needed.
    guest.deliver(3);
    await host.until("it took itself back", () => read(device) === 64);
    await host.until("it is idle again", () => host.status === STATUS.idle);

    await host.until("the host was told each time", () => host.hostRings >= 3);

    // Claimed: it sleeps whatever is pending, until it is activated.
    expect(host.claimIdle()).toBe(true);
    host.deactivate();
    guest.deliver(7, false);
    host.notify();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(host.status).toBe(STATUS.off);
    expect(read(device)).toBe(57);
    host.activate(ASK.run, true);
    await host.until("the frames are read", () => read(device) === 64);

    const report = await guest.stop();
    expect(report.error).toBeNull();
    expect(report.received).toBe(215);
    expect(report.violations).toEqual({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0 });
    expect(report.deviceViolations).toBe(0);
    const { latencyNs, latencyCutNs, latencyInactiveNs } = report.samples;
    expect([latencyNs.length, latencyCutNs.length, latencyInactiveNs.length]).toEqual([203, 0, 12]);
    // The fake device's clock is this thread's: one base for all.
    expect(Math.min(...latencyNs, ...latencyInactiveNs)).toBeGreaterThan(-report.clockErrorNs - 1000);
    expect(report.clockErrorNs).toBeLessThan(10_000);
  });

  it("parks in mid-work when asked, with frames unread, and goes on where it was", async () => {
    const guest = startVcpu({ load: "busy", budgetFrames: 1 });
    const { device, host } = guest;
    await host.until("it runs", () => host.status === STATUS.running);
    host.activate(ASK.run, false);
    guest.deliver(30);
    host.ask(ASK.park);
    await host.until("it is parked", () => host.status === STATUS.preempted);
    const unread = 64 - read(device);
    host.deactivate();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(64 - read(device)).toBe(unread);
    host.activate(ASK.run, true);
    await host.until("all is read", () => read(device) === 64);
    const report = await guest.stop();
    expect(report.error).toBeNull();
    expect(report.received).toBe(30);
    expect(report.samples.latencyNs.length + report.samples.latencyCutNs.length).toBe(30);
    expect(report.workUnits).toBeGreaterThan(0);
  });

  it("leaves a wake slice by itself once the ring is drained, not before the card had its say, and again the next time", async () => {
    const guest = startVcpu({ load: "busy" });
    const { device, host } = guest;
    host.ask(ASK.park);
    await host.until("it is parked", () => host.status === STATUS.preempted);
    for (let round = 0; round < 5; round++) {
      guest.deliver(20, false);
      host.activate(ASK.parkWhenDrained, true);
      await host.until("it parked itself", () => host.status === STATUS.preempted);
      await host.until("it has read all", () => read(device) === 64);
      host.deactivate();
    }
    const report = await guest.stop();
    expect(report.received).toBe(100);
    expect(report.samples.latencyInactiveNs.length).toBe(100);
  });

  it("stays in a wake slice until the card has taken over that the guest is active", async () => {
    const guest = startVcpu({ load: "busy" });
    const { host } = guest;
    host.ask(ASK.park);
    await host.until("it is parked", () => host.status === STATUS.preempted);
    // Woken for a configuration change, say: no frame tells that there is something to do.
    host.activateAheadOfDevice(ASK.parkWhenDrained);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(host.status).toBe(STATUS.running);
    host.takeOver(true);
    await host.until("it parked itself", () => host.status === STATUS.preempted);
    expect((await guest.stop()).interrupts).toBe(1);
  });

  it("parks again if asked to before it has noticed that it may run", async () => {
    const guest = startVcpu({ load: "busy" });
    const { host } = guest;
    host.ask(ASK.park);
    for (let round = 0; round < 200; round++) {
      await host.until("it is parked", () => host.status === STATUS.preempted);
      host.activate(ASK.run, false);
      host.ask(ASK.park);
    }
    expect((await guest.stop()).error).toBeNull();
  });

  it("gets every notification it asked for, however they fall between its steps", async () => {
    const guest = startVcpu({ budgetFrames: 2 });
    const { device, host } = guest;
    await host.until("it is idle", () => host.status === STATUS.idle);
    host.activate(ASK.run, false);
    let random = 12345;
    for (let batch = 0; batch < 3000; batch++) {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
      guest.deliver(1 + (random >>> 30));
      if (random % 7 === 0) {
        // Nothing follows that could make up for a lost notification. The other thread has a core of its own.
        const deadline = Date.now() + 5000;
        while (read(device) < 64) {
          host.serve();
          if (Date.now() > deadline) throw new Error(`batch ${batch} was never read: a notification was lost`);
        }
      } else {
        // The next batch comes into the polling of this one, or just after it, or later.
        for (let spins = (random >>> 8) % 20_000; spins > 0; spins--) host.serve();
      }
      if (read(device) < 8) await host.until("there is room", () => read(device) > 32);
    }
    await host.until("all is read", () => read(device) === 64);
    const report = await guest.stop();
    expect(report.violations).toEqual({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0 });
    expect(report.received).toBe(report.samples.latencyNs.length + report.samples.latencyInactiveNs.length);
    expect(report.interrupts).toBeGreaterThan(300);
  });

  it("of an idle guest leaves a wake slice into the idle wait", async () => {
    const guest = startVcpu();
    const { device, host } = guest;
    host.ask(ASK.park);
    await host.until("it is parked", () => host.status === STATUS.preempted);
    guest.deliver(4, false);
    host.activate(ASK.parkWhenDrained, true);
    await host.until("it is idle", () => host.status === STATUS.idle && read(device) === 64);
    expect((await guest.stop()).received).toBe(4);
  });

  it("echoes, asks for coalescing, and logs its driver's events", async () => {
    const eventRing = new SharedArrayBuffer(eventRingBytes(1024));
    const ring = new Int32Array(eventRing);
    ring[EVENT_CAPACITY] = 1024;
    const commands: number[][] = [];
    const guest = startVcpu({
      application: { kind: "echo" },
      coalesce: { maxUsecs: 50, maxPackets: 8 },
      eventRing,
      guestIndex: 2,
    });
    const { device, host } = guest;
    device.control = (command) => {
      commands.push([...command]);
      return { ack: 0 };
    };
    await host.until("it is idle", () => host.status === STATUS.idle);
    host.activate(ASK.run, false);
    expect(commands).toEqual([[6, 1, 8, 0, 0, 0, 50, 0, 0, 0]]);
    guest.deliver(16);
    await host.until("all are echoed", () => {
      device.sendFrames();
      return device.sent.length === 16;
    });
    const report = await guest.stop();
    expect(report.coalesceGranted).toBe(true);
    expect([report.received, report.sent, report.unsent]).toEqual([16, 16, 0]);
    const kinds = Array.from({ length: ring[0]! }, (_, i) => ring[32 + 12 * i + 2]!);
    expect(kinds[0]).toBe(7); // notifications off
    expect(kinds.at(-1)).toBe(8); // notifications on
    expect(kinds).toContain(4); // drain
    expect(ring[32 + 3]).toBe(2);
    expect(report.eventsLost).toBe(0);
  });

  it("reports a card that breaks the standard, and says so to the host", async () => {
    const guest = startVcpu();
    const { device, host } = guest;
    await host.until("it is idle", () => host.status === STATUS.idle);
    device.stageFrame(new Uint8Array(60), { numBuffers: 9 });
    device.publishReceive(0);
    host.notify();
    await host.until("it has failed", () => host.status === STATUS.failed);
    const report = await guest.report;
    expect(report.error).toMatch(/DeviceFault: num_buffers is 9/);
    expect(report.deviceViolations).toBe(1);
  });

  it("does not wait for a device thread that has ended", async () => {
    const guest = startVcpu();
    const { host } = guest;
    host.answering = false;
    await host.until("it waits in an exit", () => host.exitWaiting);
    host.killDevice();
    expect((await guest.report).error).toMatch(/device thread has ended/);
    expect(host.status).toBe(STATUS.failed);
  });

  it("ignores an answer of another epoch: it was meant for a worker that was killed", async () => {
    const guest = startVcpu({}, 5);
    const { host } = guest;
    host.answering = false;
    await host.until("it waits in an exit", () => host.exitWaiting);
    const request = host.words[host.vcpuBlockWord + 80]!;
    expect(request >>> 16).toBe(5);
    host.words[host.vcpuBlockWord + 96] = 0x666;
    Atomics.store(host.words, host.vcpuBlockWord + 97, (4 << 16) | (request & 0xffff));
    host.ring();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(host.words[host.vcpuBlockWord + 80]).toBe(request);
    host.answering = true;
    await host.until("it is idle", () => host.status === STATUS.idle);
    expect((await guest.stop()).error).toBeNull();
  });
});
