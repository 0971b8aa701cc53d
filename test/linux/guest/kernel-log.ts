/** What the guest's kernel says on its console, from warnings up (`loglevel=5`), and what of it is no good sign. */

/** Begin of a trace that the kernel prints when something is wrong with it or its drivers. */
const TRACE = /WARNING:|BUG:|Oops|Call Trace|Kernel panic|cut here|NETDEV WATCHDOG|hw csum failure|general protection/;

/** What the kernel notices of a host that was slow. */
const SLOW_HOST = /hrtimer: interrupt took/;

export class KernelLog {
  readonly lines: string[] = [];
  #line = "";
  #bootLines = 0;

  /** A byte came from the console. */
  take(byte: number): void {
    if (byte !== 0x0a) {
      if (byte !== 0x0d) this.#line += String.fromCharCode(byte);
      return;
    }
    this.lines.push(this.#line);
    this.#line = "";
  }

  /** What came so far belongs to the boot, in which the kernel warns of its machine: only traces count of it. */
  endBoot(): void {
    this.#bootLines = this.lines.length;
  }

  /** Traces at any time, and all that came after the boot. */
  get complaints(): string[] {
    return this.lines.filter((line, index) => {
      return TRACE.test(line) || (index >= this.#bootLines && !SLOW_HOST.test(line));
    });
  }

  /** Takes away the complaint that a test has provoked on purpose, or throws if there is none. */
  expect(pattern: RegExp): void {
    const index = this.lines.findIndex((line, at) => at >= this.#bootLines && pattern.test(line));
    if (index < 0) throw new Error(`the kernel did not say ${pattern}: ${this.tail}`);
    this.lines.splice(index, 1);
  }

  get tail(): string {
    return this.lines.slice(-30).join("\n");
  }
}
