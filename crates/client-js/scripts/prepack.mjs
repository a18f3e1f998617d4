// Makes what the package has and the repository does not: the declarations for TypeScript, and the licences beside them. npm
// runs it before it packs.

import { execFileSync } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

// Declarations of a module that is gone would be packed, too.
rmSync(`${root}/types`, { recursive: true, force: true });
// By TypeScript 5, whose declarations every later one reads. 7.0.2 writes the asterisk of the comment's line before a member of
// a type that has its name in quotes.
execFileSync(process.execPath, [`${root}/node_modules/typescript-5/bin/tsc`, "--project", "tsconfig.types.json"], {
  cwd: root,
  stdio: "inherit",
});
for (const licence of ["LICENSE-APACHE", "LICENSE-MIT"]) copyFileSync(`${root}/../../${licence}`, `${root}/${licence}`);
