// Judges every file in protocol/vectors with an implementation that shares no line with the Python one: the
// library with which the dashboard proves things in the browser.
//
//   node tests/node/verify_vectors.mjs [--content] [protocol/vectors] [../shared/vectors]
//
// Prints one JSON line per file {file, passed, failed: [names]}; exits 1 when anything failed. With --content it
// prints {file, content} instead, for a page to judge.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { judge } from "./judges.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const words = process.argv.slice(2).filter((word) => word !== "--content");
const FOLDER = resolve(words[0] ?? join(HERE, "../../protocol/vectors"));
const SHARED = resolve(words[1] ?? join(HERE, "../../../shared/vectors"));
const read = (...path) => readFileSync(join(...path), "utf-8");

function* files() {
  for (const name of readdirSync(FOLDER).sort()) {
    if (name.endsWith(".json")) yield [name, JSON.parse(read(FOLDER, name))];
  }
  yield ["SPEC.md", read(FOLDER, "../SPEC.md")];
  if (!existsSync(SHARED)) return; // vectors from elsewhere, where they lie beside the checkout
  const names = readdirSync(join(SHARED, "jcs/input"));
  yield ["jcs", names.map((name) => ({ name, input: read(SHARED, "jcs/input", name), output: read(SHARED, "jcs/output", name) }))];
  for (const name of ["wycheproof_ed25519.json", "ed25519_speccheck.json"]) yield [name, JSON.parse(read(SHARED, name))];
}

for (const [file, content] of files()) {
  if (process.argv.includes("--content")) {
    console.log(JSON.stringify({ file, content }));
    continue;
  }
  const report = await judge(file, content);
  console.log(JSON.stringify(report));
  if (report.failed.length > 0 || report.passed === 0) process.exitCode = 1;
}
