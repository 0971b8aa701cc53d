import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { REGISTER_BLOCKS } from "../../src/hypervisor/cli/register-blocks.ts";
import { registersMarkdown } from "../../src/hypervisor/cli/registers.ts";

describe("the public face", () => {
  it("of spillway/device is what its readers were told, and no more", async () => {
    const names = Object.keys(await import("spillway/device")).filter((name) => !/^[A-Z_]+$/.test(name));
    expect(names.sort()).toEqual([
      "CardStatistics",
      "Frame",
      "GuestMemory",
      "HostWindow",
      "LoopbackPort",
      "MmioTransport",
      "NetCard",
      "PciInterrupts",
      "PciTransport",
      "QueueStatistics",
      "RegisterTable",
      "Throttle",
      "compileRegisters",
    ]);
  });

  it("of spillway/v86 is one function", async () => {
    expect(Object.keys(await import("spillway/v86"))).toEqual(["attachVirtioNet"]);
  });

  it("of spillway/hypervisor runs scenarios and offers its parts", async () => {
    const face = await import("spillway/hypervisor");
    for (const name of [
      "runVirtual",
      "runThreads",
      "parseScenario",
      "Scheduler",
      "programFor",
      "openCapture",
    ] as const) {
      expect(face[name]).toBeTypeOf("function");
    }
  });

  it("of spillway/guest offers the driver", async () => {
    expect((await import("spillway/guest")).NetDriver).toBeTypeOf("function");
  });

  it("docs/registers.md is what the register tables say (npx spillway registers --markdown)", () => {
    expect(readFileSync("docs/registers.md", "utf8").trim()).toBe(registersMarkdown(REGISTER_BLOCKS).trim());
  });
});
