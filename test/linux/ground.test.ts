import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { bootedState, bootImages } from "./guest/booted-state.ts";
import { LinuxGuest } from "./guest/linux-guest.ts";

const ingredients = inject("ingredients");

describe.skipIf(ingredients === null)("the ground of the Linux suite", () => {
  let guest: LinuxGuest;

  beforeAll(async () => {
    const images = bootImages(ingredients!);
    guest = await LinuxGuest.resume(images, {}, await bootedState(images, {}), {});
  });
  afterAll(() => guest.destroy());

  it("a stock Debian kernel runs in v86", async () => {
    expect(await guest.output("uname -r")).toBe(ingredients!.release);
  });

  it("a command's output and exit code come back, newlines at its end included", async () => {
    expect(await guest.run("printf 'a\\nb'; false")).toEqual({ output: "a\nb", exitCode: 1 });
    expect(await guest.run("echo; echo x")).toEqual({ output: "\nx\n", exitCode: 0 });
    expect(await guest.run("seq 2000 | sha1sum | cut -c1-8")).toEqual({ output: "763ceab1\n", exitCode: 0 });
  });

  it("a command that does not end is an error that names it", async () => {
    await expect(guest.run("sleep 1", 100)).rejects.toThrow('"sleep 1" did not end within 100 ms');
    expect(await guest.output("echo on")).toBe("on");
  });

  it("what the kernel warns of after its boot is seen as a complaint", async () => {
    expect(guest.kernelLog.complaints).toEqual([]);
    await guest.output("echo '<6>all is well' >/dev/kmsg; echo '<4>odd' >/dev/kmsg");
    await expect.poll(() => guest.kernelLog.complaints).toEqual([expect.stringMatching(/\] odd$/)]);
  });
});
