// Makes what the package has and the repository does not: the declarations for TypeScript, and the licences beside the package.
// npm runs it before it packs.

import { execFileSync } from "node:child_process";
import { copyFileSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

// Declarations of a module that is gone would be packed, too.
rmSync(`${root}/types`, { recursive: true, force: true });
execFileSync(process.execPath, [`${root}/node_modules/typescript/bin/tsc`, "--project", "tsconfig.types.json"], {
  cwd: root,
  stdio: "inherit",
});
for (const licence of ["LICENSE-APACHE", "LICENSE-MIT"]) copyFileSync(`${root}/../../${licence}`, `${root}/${licence}`);
