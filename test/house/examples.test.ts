import { describe, expect, it } from "vitest";
import { run } from "../../docs/examples/embed-card.ts";

describe("the examples of docs/", () => {
  it("embed-card: every frame that the guest sends comes back to it, with fewer interrupts than frames", () => {
    const { sent, received, interrupts } = run();
    expect(sent).toBe(100);
    expect(received).toBe(100);
    expect(interrupts).toBeGreaterThan(0);
    expect(interrupts).toBeLessThan(100);
  });
});
