import { describe, expect, it } from "vitest";
import { Workplace } from "./spillway-process.ts";

const COMMANDS = "run, compare, registers";
const OPTIONS =
  "--trace, --speed, --guests, --pcpus, --ring, --engine, --policy, --duration, --seed, --json, --events, --help";
const POLICIES = "unmoderated, fixed, notf-coal, cooperative, cooperative-adaptive";
const CAPTURES = "allowed are pcap, pcapng, and CSV with the header time_ns,length_bytes";

type Case = readonly [line: string, message: string | RegExp];

/** Files that the lines below name, besides s.json, which holds the scenario of the second table. */
const FILES: Readonly<Record<string, string | Uint8Array>> = {
  "empty.json": "",
  "text.json": "hello",
  "comma.json": '{\n  "seed": 1,\n}',
  "binary.json": Uint8Array.from([0x7b, 0xff, 0xfe, 0x7d]),
  "big.json": `{"name": "${"x".repeat(1 << 20)}"}`,
  "empty.pcap": "",
  "noise.pcap": Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]),
  "packed.pcap.gz": Uint8Array.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]),
  "two.json": '{"policies": ["fixed", "cooperative"]}',
  "list.json": '{"guests": [{}, {}]}',
  "capture.json": '{"guests": [{"traffic": "missing.pcap"}]}',
  "linux.json": '{"kind": "linux", "linux": {"kernel": "none/vmlinuz", "initrd": "i", "bios": "b", "vgaBios": "v"}}',
};

/** Bad command lines, with what is said of them. Words are separated by one blank; ~ stands for an empty word. */
const COMMAND_LINES: readonly Case[] = [
  ["", `no command given; allowed are ${COMMANDS}, and --help`],
  ["frobnicate", `unknown command "frobnicate"; allowed are ${COMMANDS}`],
  ["sweep", `unknown command "sweep"; allowed are ${COMMANDS}`],
  ["s.json", `unknown command "s.json"; allowed are ${COMMANDS}`],
  ["--frobnicate", `unknown option "--frobnicate"; allowed are --version, --help, and a command: ${COMMANDS}`],
  ["run --rings 64", `run: unknown option "--rings"; allowed are ${OPTIONS}`],
  ["run --html x", `run: unknown option "--html"; allowed are ${OPTIONS}`],
  ["compare -x", `compare: unknown option "-x"; allowed are ${OPTIONS}`],
  ["registers --html", `registers: unknown option "--html"; allowed are --markdown, --json, --help`],
  ["registers extra", "registers: got 1 argument; allowed is none"],
  ["registers --json --markdown", "got both --markdown and --json; allowed is one of them"],
  ["run a.json b.json", "run: got 2 arguments; allowed is one scenario file"],
  ["run --ring", "run: --ring <n> is missing its value"],
  ["run --ring 1000", '--ring: got "1000"; allowed is a power of two from 2 to 32768'],
  ["run --ring 0x40", '--ring: got "0x40"; allowed is a power of two from 2 to 32768'],
  ["run --ring 65536", '--ring: got "65536"; allowed is a power of two from 2 to 32768'],
  ["run --ring ~", '--ring: got ""; allowed is a power of two from 2 to 32768'],
  ["run --ring 64 --ring 64", "--ring: given twice; allowed is once"],
  ["run --guests 0", '--guests: got "0"; allowed is a whole number from 1 to 64'],
  ["run --guests 65", '--guests: got "65"; allowed is a whole number from 1 to 64'],
  ["run --guests two", '--guests: got "two"; allowed is a whole number from 1 to 64'],
  ["run --pcpus 1.5", '--pcpus: got "1.5"; allowed is a whole number from 1 to 64'],
  ["run --pcpus -1", '--pcpus: got "-1"; allowed is a whole number from 1 to 64'],
  ["run --speed 0", '--speed: got "0"; allowed is a number above 0, at most 1000000'],
  ["run --speed Infinity", '--speed: got "Infinity"; allowed is a number above 0, at most 1000000'],
  ["run --speed 1e999", '--speed: got "1e999"; allowed is a number above 0, at most 1000000'],
  ["run --speed NaN", '--speed: got "NaN"; allowed is a number above 0, at most 1000000'],
  ["run --duration 0", '--duration: got "0"; allowed is a number above 0, at most 1000000 (seconds)'],
  ["run --duration 1s", '--duration: got "1s"; allowed is a number above 0, at most 1000000 (seconds)'],
  ["run --seed -3", '--seed: got "-3"; allowed is a whole number from 0 to 4294967295'],
  ["run --seed 4294967296", '--seed: got "4294967296"; allowed is a whole number from 0 to 4294967295'],
  ["run --engine real", '--engine: got "real"; allowed is one of virtual, threads'],
  ["run --policy best", `--policy: got "best"; allowed is one of ${POLICIES}`],
  ["run --policy fixed --policy fixed", "--policy: given twice; allowed is once"],
  ["compare --policy fixed", "compare takes two policies or more, but got fixed(125 µs) alone; use run for one"],
  ["compare --policy fixed --policy fixed", "--policy: got fixed twice; allowed is once each"],
  [
    "run two.json",
    "run takes one policy, but the scenario lists 2: fixed(125 µs), cooperative(125 µs, 2000 µs); " +
      "choose with --policy NAME, or use compare",
  ],
  [
    "run list.json --guests 3",
    "--guests 3 contradicts the scenario, which lists 2 guests one by one; allowed is one or the other",
  ],
  ["run --trace ~", '--trace: got ""; allowed is the path of a file'],
  ["run --trace -", '--trace: got "-"; allowed is the path of a file'],
  ["run --guests 1 --trace a --trace b", "--trace: got 2 files for 1 guest; allowed is at most one for each guest"],
  ["run --trace missing.pcap", "missing.pcap: there is no such file; give a readable capture"],
  ["run capture.json", "missing.pcap: there is no such file; give a readable capture"],
  ["run --trace .", ".: is a directory; a capture is a regular file with packets in it"],
  ["run --trace empty.pcap", "empty.pcap: is empty; a capture is a regular file with packets in it"],
  ["run --trace noise.pcap", `noise.pcap: is of no known format; ${CAPTURES}`],
  ["run --trace packed.pcap.gz", `packed.pcap.gz: is packed with gzip: unpack it first; ${CAPTURES}`],
  ["run --events ~", '--events: got ""; allowed is the path of a file'],
  ["run --events .", '--events: cannot write ".": it is a folder'],
  ["run --events no/such/e.ndjson", '--events: cannot write "no/such/e.ndjson": no such file or folder'],
  ["run --events list.json list.json", '--events: "list.json" is read by this run; allowed is another file'],
  ["run missing.json", 'scenario "missing.json": cannot be read: no such file or folder'],
  ["run .", 'scenario ".": cannot be read: it is a folder'],
  ["run linux.json", 'linux.kernel: cannot read "none/vmlinuz": no such file or folder'],
  ["run empty.json", 'scenario "empty.json": not JSON: Unexpected end of JSON input'],
  ["run text.json", /^scenario "text\.json": not JSON: Unexpected token/],
  ["run comma.json", /^scenario "comma\.json": not JSON: .* \(line 3, column 1\)$/],
  ["run binary.json", 'scenario "binary.json": not UTF-8 text; allowed is a JSON file'],
  ["run big.json", 'scenario "big.json": more than 1048576 bytes; allowed is a JSON file below that'],
  ["run /dev/zero", 'scenario "/dev/zero": more than 1048576 bytes; allowed is a JSON file below that'],
  ["run line\nbreak\u001b[31m.json", 'scenario "line\\nbreak\\u001b[31m.json": cannot be read: no such file or folder'],
];

/** Bad scenarios; more of them, and every range, are in test/unit/hypervisor/scenario. */
const SCENARIOS: readonly (readonly [json: string, message: string])[] = [
  [
    "[]",
    "got []; allowed is an object with the keys name, kind, linux, engine, seed, durationNs, durationS, speed, pcpus, linkRateBps, mtu, maxInactiveDelayNs, maxGapNs, urgent, scheduler, costs, policies, guests",
  ],
  [
    '{"sede": 1}',
    'unknown key "sede"; allowed are the keys name, kind, linux, engine, seed, durationNs, durationS, speed, pcpus, linkRateBps, mtu, maxInactiveDelayNs, maxGapNs, urgent, scheduler, costs, policies, guests',
  ],
  ['{"guests": 0}', "guests: got 0; allowed is a whole number from 1 to 64, or a list of guests"],
  ['{"guests": []}', "guests: got []; allowed is a list of 1 to 64 guests"],
  ['{"guests": [{"ring": 100}]}', "guests[0].ring: got 100; allowed is a power of two from 2 to 32768"],
  ['{"guests": [{"name": ""}]}', 'guests[0].name: got ""; allowed is 1 to 32 printable ASCII characters'],
  [
    '{"guests": [{"name": "a"}, {"name": "a"}]}',
    'guests[0] and guests[1] are both called "a"; allowed are names that differ',
  ],
  ['{"speed": 1e999}', "speed: got Infinity; allowed is a number above 0, at most 1000000"],
  ['{"policies": []}', "policies: got []; allowed is a list of 1 to 32 policies"],
  ['{"policies": ["fxed"]}', `policies[0].name: got "fxed"; allowed is one of ${POLICIES}`],
  [
    '{"policies": [{"name": "fixed", "intervalNs": -1}]}',
    "policies[0].intervalNs: got -1; allowed is a whole number from 0 to 4294967295 (ns)",
  ],
  ['{"kind": "linux"}', "kind linux needs a key linux, which names kernel, initrd, bios and vgaBios"],
  ['{"durationS": 1, "durationNs": 1}', "got both durationNs and durationS; allowed is one of them"],
  [
    '{"guests": [{"traffic": {"kind": "poisson", "framesPerS": 1, "lengthBytes": 60}}]}',
    "guests[0].traffic has no count and the run no duration, so it would never end; give one of them",
  ],
];

/** Each case has a folder of its own, so that several can run at a time. */
async function expectRefusal(args: readonly string[], message: string | RegExp, scenario = ""): Promise<void> {
  const place = new Workplace();
  try {
    for (const [name, content] of Object.entries({ ...FILES, "s.json": scenario })) place.write(name, content);
    const before = place.list();
    const { code, stdout, stderr } = await place.run(args);
    expect(stderr).toMatch(/^spillway: [^\n]*\n$/);
    const said = stderr.slice("spillway: ".length, -1);
    if (typeof message === "string") expect(said).toBe(message);
    else expect(said).toMatch(message);
    expect({ code, stdout, files: place.list() }).toEqual({ code: 2, stdout: "", files: before });
  } finally {
    place.remove();
  }
}

describe("a bad command line gets one line, exit code 2, and no file", () => {
  it.concurrent.each(COMMAND_LINES)("spillway %s", async (line, message) => {
    const args = line === "" ? [] : line.split(" ").map((word) => (word === "~" ? "" : word));
    await expectRefusal(args, message);
  });
});

describe("a bad scenario gets one line, exit code 2, and no events file", () => {
  it.concurrent.each(SCENARIOS)("%s", async (json, message) => {
    await expectRefusal(["compare", "s.json", "--events", "e.ndjson"], `scenario "s.json": ${message}`, json);
  });
});
