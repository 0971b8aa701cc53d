/**
 * `npm run linux:fetch`: lays a Linux guest's files where docs/examples/linux-guests.json looks for them, made of Debian's
 * packages as the Linux suite makes its own.
 */
import { runnerImport } from "vite";

const { module } = await runnerImport("./test/linux/lay-guest-files.ts");
module.fetchGuestFiles();
