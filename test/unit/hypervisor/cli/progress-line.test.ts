import { describe, expect, it } from "vitest";
import { ProgressLine } from "../../../../src/hypervisor/cli/progress-line.ts";

const CLEAR = "\r\u001b[K";

function terminal(columns: number): { columns: number; written: string[]; write(text: string): void } {
  const written: string[] = [];
  return { columns, written, write: (text) => void written.push(text) };
}

describe("the progress line", () => {
  it("replaces itself, and is gone when cleared", () => {
    const screen = terminal(80);
    const line = new ProgressLine(screen);
    line.show("fixed", null);
    line.show("fixed", 0.429);
    line.clear();
    expect(screen.written).toEqual([`${CLEAR}fixed …`, `${CLEAR}fixed 42 %`, CLEAR]);
  });

  it("clears nothing that it did not write", () => {
    const screen = terminal(80);
    const line = new ProgressLine(screen);
    line.clear();
    line.show("x", 0);
    line.clear();
    line.clear();
    expect(screen.written).toHaveLength(2);
  });

  it("never wraps, for a wrapped line could not be cleared", () => {
    const screen = terminal(10);
    new ProgressLine(screen).show("cooperative-adaptive", 1);
    expect(screen.written).toEqual([`${CLEAR}cooperati`]);
  });

  it("takes a terminal that gives its width as 0 for one of 80 columns", () => {
    const screen = terminal(0);
    new ProgressLine(screen).show("x".repeat(100), 1);
    expect(screen.written).toEqual([`${CLEAR}${"x".repeat(79)}`]);
  });

  it("stays between 0 and 100 %", () => {
    const screen = terminal(80);
    const line = new ProgressLine(screen);
    line.show("x", -0.5);
    line.show("x", 1.5);
    expect(screen.written).toEqual([`${CLEAR}x 0 %`, `${CLEAR}x 100 %`]);
  });

  it("does nothing without a terminal", () => {
    const line = new ProgressLine(null);
    expect(() => {
      line.show("x", 1);
      line.clear();
    }).not.toThrow();
  });
});
