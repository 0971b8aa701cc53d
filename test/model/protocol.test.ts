import { describe, expect, it } from "vitest";
import { protocolModel } from "./protocol-model.ts";
import type { ProtocolOptions, Variant } from "./protocol-state.ts";
import { exploreStates, ModelError } from "./state-space.ts";

const SMALL: ProtocolOptions = {
  load: "busy",
  eventIdx: true,
  frames: 1,
  parks: 1,
  slices: 0,
  asks: "wake",
  replans: false,
  configChanges: 0,
  countWakes: false,
  variant: "none",
};

const WOKEN_AGAIN = "wakes are raised again and again for the same frames";
const WASTED = "a wake slice is left although what it was given for is not done";

/** Minutes instead of seconds: SPILLWAY_MODEL=deep. */
const DEEP = process.env["SPILLWAY_MODEL"] === "deep";
const DEEP_STATES = 8_000_000;

const explored = (options: Partial<ProtocolOptions>, statesMax?: number) =>
  exploreStates(protocolModel({ ...SMALL, ...options }), statesMax);

/** What the checker has against a variant. */
function faultOf(variant: Variant, options: Partial<ProtocolOptions> = {}): string {
  try {
    explored({ ...options, variant });
  } catch (error) {
    if (error instanceof ModelError) return error.what;
    throw error;
  }
  return "nothing";
}

describe("the protocol of host, device and vCPU", () => {
  it.each<[string, number, Partial<ProtocolOptions>]>([
    ["two frames, a busy guest, wake slices that may become natural ones", 50_000, { frames: 2, replans: true }],
    ["two frames, flags instead of event indices", 30_000, { frames: 2, asks: "natural", eventIdx: false }],
    ["three frames", 50_000, { frames: 3, asks: "natural" }],
    ["a slice that nobody asked for", 30_000, { slices: 1 }],
    ["the CPU taken away twice", 10_000, { parks: 2 }],
    ["a frame and a configuration change", 30_000, { configChanges: 1 }],
    ["one frame, an idle guest, any slices", 50_000, { load: "idle", asks: "both" }],
    ["two frames for a guest that idles between them", 50_000, { load: "idle", frames: 2, parks: 0 }],
  ])("lets no frame lie and no thread sleep for ever: %s", (_name, states, options) => {
    expect(explored(options).states).toBeGreaterThan(states);
  });

  it("raises one wake for what waits, however late the device takes over what the host has posted", () => {
    explored({ countWakes: true });
    explored({ asks: "natural", parks: 2, countWakes: true });
    explored({ load: "idle", countWakes: true });
    explored({ load: "idle", asks: "natural", countWakes: true });
  });

  it.runIf(DEEP).each<[string, Partial<ProtocolOptions>]>([
    ["busy, three frames, two parks", { frames: 3, parks: 2, asks: "both", replans: true }],
    ["busy, three frames, two parks, flags", { frames: 3, parks: 2, asks: "both", replans: true, eventIdx: false }],
    ["busy, two frames, one park, one slice", { frames: 2, slices: 1, asks: "both", replans: true }],
    ["idle, three frames, one park", { load: "idle", frames: 3, asks: "both", replans: true }],
    ["idle, three frames, one park, flags", { load: "idle", frames: 3, asks: "both", eventIdx: false }],
    ["idle, two frames, one park, one slice", { load: "idle", frames: 2, slices: 1 }],
    ["idle, two frames, a configuration change", { load: "idle", frames: 2, parks: 0, configChanges: 1 }],
  ])("holds in deeper bounds: %s", { timeout: 600_000 }, (name, options) => {
    const { states, transitions } = explored(options, DEEP_STATES);
    console.log(`${name}: ${states} states, ${transitions} transitions`);
  });
});

describe("the checker", () => {
  const lost = /^(all threads sleep|the goal is out of reach)$/;

  it("finds that frames are lost if the host injects the notification", () => {
    expect(faultOf("host injects the notification", { slices: 1 })).toMatch(lost);
    expect(faultOf("host injects the notification", { load: "idle", eventIdx: false })).toMatch(lost);
  });

  it("finds that frames are lost if the wake clears the cause", () => {
    expect(faultOf("wake clears the cause")).toMatch(lost);
    expect(faultOf("wake clears the cause", { load: "idle", eventIdx: false })).toMatch(lost);
  });

  it.each<Variant>([
    "vCPU reads its doorbell after looking",
    "host reads its doorbell after looking",
    "device reads its doorbell after looking",
  ])("finds that all may sleep if the %s", (variant) => {
    expect(faultOf(variant)).toBe("all threads sleep");
  });

  it("finds that a wake slice is given up at once if the vCPU looks at PENDING alone", () => {
    expect(faultOf("vCPU parks without looking at STATE_ECHO and the ring")).toBe(WASTED);
    // With the look at the ring, STATE_ECHO still matters for what does not lie there: a configuration change.
    expect(faultOf("vCPU parks without looking at STATE_ECHO")).toBe("nothing");
    expect(faultOf("vCPU parks without looking at STATE_ECHO", { frames: 0, configChanges: 1 })).toBe(WASTED);
    expect(faultOf("vCPU looks at PENDING before STATE_ECHO", { frames: 0, configChanges: 1 })).toBe(WASTED);
  });

  it("finds that a wake slice may be for nothing if the vCPU leaves it as soon as its ring is drained", () => {
    const options = { configChanges: 1 };
    expect(faultOf("vCPU leaves its wake slice as soon as its ring is drained", options)).toBe(WASTED);
  });

  it.each<Variant>([
    "vCPU idles without looking at STATE_ECHO",
    "vCPU looks at PENDING before STATE_ECHO when it idles",
  ])("finds that a guest is woken again for what it was woken for: %s", (variant) => {
    const options: Partial<ProtocolOptions> = { load: "idle", asks: "natural", countWakes: true };
    expect(faultOf(variant, options)).toBe(WOKEN_AGAIN);
  });

  it("finds that an interrupt stays with an inactive guest if the device does not take PENDING back", () => {
    const left = "an interrupt waits for an inactive guest";
    expect(faultOf("device leaves PENDING on taking over 0")).toBe(left);
    expect(faultOf("device stores STATE_ECHO before it acts")).toBe(left);
  });

  it("finds a vCPU that runs off its CPU", () => {
    const runs = "a vCPU runs that the host holds to be off its CPU";
    expect(faultOf("vCPU takes itself back without compareExchange", { load: "idle" })).toBe(runs);
    expect(faultOf("host posts 0 before the vCPU has parked")).toBe(runs);
    expect(faultOf("host unparks before it posts 1")).toBe(runs);
  });

  it("finds that frames are lost if the device passes over the state between two that it sees", () => {
    expect(faultOf("device skips the state in between", { load: "idle" })).toMatch(lost);
  });
});
