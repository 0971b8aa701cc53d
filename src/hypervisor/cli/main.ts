#!/usr/bin/env node
import { loadEngine } from "./engines.ts";
import { runProcess } from "./process.ts";

await runProcess(process.argv.slice(2), loadEngine);
