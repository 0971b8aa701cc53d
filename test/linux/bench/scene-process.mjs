/** Process of one scene of one design: gets its options, then names of figures by message, and answers with the figures. */
import { runnerImport } from "vite";

const { module } = await runnerImport("./test/linux/bench/scenes.ts");
let scene = null;
process.on("message", async ({ options, name }) => {
  try {
    if (options !== undefined) scene = await module.openScene(options);
    process.send({ figures: name === undefined ? {} : await scene.measure(name) });
  } catch (error) {
    process.send({ error: error.stack });
  }
});
process.on("disconnect", () => process.exit(0));
process.send({ figures: {} });
