/** CI also wants the counts in a file, which VITEST_JSON names. */
export function reporters(): { reporters: string[]; outputFile?: { json: string } } {
  const json = process.env["VITEST_JSON"];
  return json === undefined ? { reporters: ["default"] } : { reporters: ["default", "json"], outputFile: { json } };
}
