// The package as others get it: packed, installed where nothing else is, run in Node, and read by TypeScript.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));

describe("the package", () => {
  let directory;
  let packed;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "dualcast-"));
    const { stdout } = await run("npm", ["pack", "--json", "--silent", "--pack-destination", directory], { cwd: root });
    [packed] = JSON.parse(stdout.slice(stdout.indexOf("[")));
    await cp(join(root, "test/consumer"), directory, { recursive: true });
    await writeFile(join(directory, "package.json"), JSON.stringify({ private: true, type: "module" }));
    // With a cache of its own, which is empty: it needs nothing but itself.
    const install = ["install", "--offline", "--cache", join(directory, "cache"), "--no-audit", "--no-fund"];
    await run("npm", [...install, join(directory, packed.filename)], { cwd: directory });
  });

  after(() => rm(directory, { recursive: true, force: true }));

  test("has each module with its declarations, the licences and the README, and nothing else", async () => {
    const modules = (await readdir(join(root, "js"), { recursive: true })).filter((name) => name.endsWith(".js"));
    assert.ok(modules.includes("dualcast.js"));
    const expected = [
      "LICENSE-APACHE",
      "LICENSE-MIT",
      "README.md",
      "package.json",
      ...modules.flatMap((name) => [`js/${name}`, `types/${name.replace(/\.js$/, ".d.ts")}`]),
    ];
    assert.deepEqual(packed.files.map(({ path }) => path).sort(), expected.sort());
  });

  test("has the version of the crates, and needs nothing at run time", async () => {
    const { version, dependencies, peerDependencies } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const manifest = await readFile(join(root, "../../Cargo.toml"), "utf8");
    const [, workspace] = /\[workspace\.package\]\s+version = "(.+?)"/.exec(manifest);
    const expected = { version: workspace, dependencies: undefined, peerDependencies: undefined };
    assert.deepEqual({ version, dependencies, peerDependencies }, expected);
  });

  test("follows a stream in Node, and lets it end", async () => {
    const { stdout, stderr } = await run(process.execPath, ["node.mjs"], { cwd: directory, timeout: 60_000 });
    assert.deepEqual({ stdout, stderr }, { stdout: "parsed a\nheard hello e-1\n", stderr: "" });
  });

  for (const compiler of ["typescript", "typescript-5"]) {
    for (const [module, moduleResolution] of [
      ["nodenext", "nodenext"],
      ["esnext", "bundler"],
    ]) {
      test(`tells ${compiler} what events carry, by ${moduleResolution} resolution`, async () => {
        await compiles(compiler, { module, moduleResolution });
      });
    }
  }

  /** Compiles typed.ts, with all that a strict application has on; the declarations are looked at, too. */
  async function compiles(compiler, options) {
    const compilerOptions = {
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
      noEmit: true,
      target: "es2022",
      lib: ["es2022", "dom", "dom.iterable"],
      types: [],
      ...options,
    };
    const project = join(directory, `tsconfig.${compiler}.${options.moduleResolution}.json`);
    await writeFile(project, JSON.stringify({ compilerOptions, files: ["typed.ts"] }));
    const compile = [join(root, "node_modules", compiler, "bin/tsc"), "--project", project];
    await run(process.execPath, compile, { cwd: directory }).catch(({ stdout }) => assert.fail(stdout));
  }
});
