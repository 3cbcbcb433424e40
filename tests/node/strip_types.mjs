// Writes the proof library and its judges as scripts a page can load: types stripped, names kept.
//
//   node tests/node/strip_types.mjs FOLDER
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const folder = process.argv[2];

for (const part of ["controlplane/dashboard/src/proof", "tests/node"]) {
  mkdirSync(join(folder, part), { recursive: true });
  for (const name of readdirSync(join(ROOT, part))) {
    if (!/\.(ts|mjs)$/.test(name) || name.endsWith(".test.ts")) continue;
    const text = readFileSync(join(ROOT, part, name), "utf-8");
    writeFileSync(join(folder, part, name), name.endsWith(".ts") ? stripTypeScriptTypes(text) : text);
  }
}
