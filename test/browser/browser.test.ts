import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find((path) => existsSync(path));
const CONTENT_TYPES: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};
/** A machine that lacks a browser skips this; CI must not. */
const required = process.env["CI"] !== undefined;

interface Outcome {
  readonly error?: string;
  readonly received: number[];
  readonly sent: number[];
  readonly status: number;
  readonly gone: number;
}

if (CHROMIUM === undefined && !required) console.log("browser suite skipped: no chromium (apt-get install chromium)");

describe.skipIf(CHROMIUM === undefined && !required)("the card in v86 in a browser", () => {
  let server: Server;
  let browser: ChildProcess;
  let outcome: Outcome;
  const profile = mkdtempSync(join(tmpdir(), "spillway-browser-"));

  beforeAll(async () => {
    if (CHROMIUM === undefined) throw new Error("chromium is missing: apt-get install chromium");
    const posted = new Promise<Outcome>((resolve) => {
      server = serve(resolve);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    browser = spawn(
      CHROMIUM,
      [
        ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"],
        ...["--disable-background-networking", "--disable-component-update", `--user-data-dir=${profile}`],
        `http://127.0.0.1:${port}/test/browser/page.html`,
      ],
      { stdio: "ignore", detached: true },
    );
    const ended = new Promise<never>((_, reject) => {
      browser.once("exit", (code) => reject(new Error(`the browser ended with ${code} before the page was done`)));
    });
    outcome = await Promise.race([posted, ended]);
    ended.catch(() => {});
  }, 60_000);

  afterAll(async () => {
    server?.close();
    if (browser?.pid !== undefined && browser.exitCode === null) {
      const ended = new Promise((resolve) => browser.once("exit", resolve));
      // Its helper processes write to the profile too.
      process.kill(-browser.pid, "SIGKILL");
      await ended;
    }
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  const frame = (lengthBytes: number, seed: number) => {
    const bytes = Array.from({ length: lengthBytes }, (_, i) => (i * seed) & 0xff);
    bytes.splice(0, 14, 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5);
    return bytes;
  };

  it("loads without Node, and runs to its end without an error", () => {
    expect(outcome.error).toBeUndefined();
  });

  it("receives and sends frames while the emulator runs in the page's own loop", () => {
    expect(outcome.received).toEqual(frame(100, 7));
    expect(outcome.sent).toEqual(frame(200, 9));
  });

  it("survives a saved and restored state, and is gone when it is detached", () => {
    expect(outcome.status).toBe(15);
    expect(outcome.gone).toBe(0xff);
  });
});

/** Files of this project, and what the page posts. */
function serve(onOutcome: (outcome: Outcome) => void): Server {
  return createServer((request, response) => {
    if (request.method === "POST") {
      let body = "";
      request.setEncoding("utf8").on("data", (text) => {
        body += text;
      });
      request.on("end", () => {
        response.end();
        onOutcome(JSON.parse(body) as Outcome);
      });
      return;
    }
    const path = join(ROOT, normalize(decodeURI(request.url ?? "/")));
    if (!path.startsWith(ROOT) || !existsSync(path) || extname(path) === "") {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": CONTENT_TYPES[extname(path)] ?? "application/octet-stream" });
    response.end(readFileSync(path));
  });
}
