/**
 * The protocol between host, device and one vCPU (DESIGN §9, docs/memory-model.md) as a model with explicit states: every
 * Atomics access and every doorbell is a transition of its own, and the comment at each names the code that it stands for.
 * Doorbells are modelled by what a sleeper can tell of them: whether they were rung since it read them.
 */

import { deviceStep, normaliseDevice } from "./protocol-device.ts";
import { hostStep, normaliseHost } from "./protocol-host.ts";
import { ASK_PARK_WHEN_DRAINED, initialState, type ProtocolOptions, type State, VIOLATIONS } from "./protocol-state.ts";
import { normaliseVcpu, vcpuStep } from "./protocol-vcpu.ts";
import type { Model } from "./state-space.ts";

export function protocolModel(options: ProtocolOptions): Model<State> {
  return {
    initial: initialState(options),
    step: (state, emit) => {
      hostStep(state, emit, options);
      deviceStep(state, emit, options);
      vcpuStep(state, emit, options);
    },
    normalise: (n) => {
      normaliseWords(n);
      normaliseDevice(n);
      normaliseHost(n);
      normaliseVcpu(n);
    },
    violation: (s) => {
      if (s.violation !== 0) return VIOLATIONS[s.violation]!;
      // Rule 4: an interrupt that was sent and not taken is the device's again.
      if (s.echo === s.word && (s.word & 1) === 0 && s.pending !== 0) return "an interrupt waits for an inactive guest";
      return null;
    },
    // Every frame was read or dropped, and every configuration change taken.
    isGoal: (s) => s.wire === 0 && s.read === s.used && s.configsTaken === options.configChanges,
  };
}

/** Sequences are only compared, so they may begin at 1 again whenever nobody knows of older ones. */
function normaliseWords(n: State): void {
  let oldest = Math.min(n.word, n.echo, n.taken);
  if (n.taking !== 0) oldest = Math.min(oldest, n.taking);
  if (n.vcpuSeen !== 0) oldest = Math.min(oldest, n.vcpuSeen);
  const shift = ((oldest >>> 2) - 1) << 2;
  n.word -= shift;
  n.echo -= shift;
  n.taken -= shift;
  if (n.taking !== 0) n.taking -= shift;
  if (n.vcpuSeen !== 0) n.vcpuSeen -= shift;
  // What an activation was for matters while its wake slice lasts.
  if (Math.max(n.ask, n.vcpuAsk, n.hostArg) === ASK_PARK_WHEN_DRAINED) return;
  n.owedFrames = 0;
  n.owedConfig = 0;
}
