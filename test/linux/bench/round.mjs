/** Process of one round: `round.mjs OPTIONS`, options as JSON; prints its figures as JSON. */
import { runnerImport } from "vite";

const { module } = await runnerImport("./test/linux/bench/measure.ts");
process.stdout.write(JSON.stringify(await module.measureRound(JSON.parse(process.argv[2]))));
// An emulator that is gone leaves timers behind.
process.exit(0);
