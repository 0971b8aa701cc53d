import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import type { ResultDocument } from "../../src/hypervisor/report/result.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const SOAK_SECONDS = Number(process.env["SOAK_SECONDS"] ?? 60);
const folder = mkdtempSync(join(tmpdir(), "spillway-soak-"));

afterAll(() => rmSync(folder, { recursive: true }));

describe("four guests on one CPU in threads", () => {
  for (const policy of ["cooperative-adaptive", "fixed"]) {
    it(`${policy}: ${SOAK_SECONDS} s of a real capture without a lost, doubled, reordered or corrupted frame`, async () => {
      const guests = ["tumblr", "reddit", "chrome", "zoom2"].map((name) => ({
        name,
        traffic: join(ROOT, `captures/${name}.csv`),
      }));
      const path = join(folder, `${policy}.json`);
      writeFileSync(
        path,
        JSON.stringify({ engine: "threads", durationS: SOAK_SECONDS, speed: 5, guests, policies: [policy] }),
      );
      const args = [join(ROOT, "dist/hypervisor/cli/main.js"), "run", path, "--json"];
      const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 1 << 26 });
      const run = (JSON.parse(stdout) as ResultDocument).runs[0]!;
      for (const guest of run.guests) {
        console.log(
          `${policy} ${guest.name}: ${guest.arrived} arrived, ${guest.dropped} dropped, ${guest.wakes.total} wakes`,
        );
        expect(guest.violations).toEqual({ lost: 0, duplicated: 0, reordered: 0, corrupted: 0 });
        expect(guest.delivered + guest.dropped).toBe(guest.arrived);
        expect(guest.unread).toBe(0);
      }
    });
  }
});
