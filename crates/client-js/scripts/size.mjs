// What a page pays for the client: all its modules in one, minified and gzipped, held to the limit that it promises.
//
// esbuild bundles, and terser minifies, as it does for Rollup and webpack: esbuild by itself leaves some 5% more.
//
//     node scripts/size.mjs                                the client, which fails above the limit
//     node scripts/size.mjs js/dualcast/event-stream.js    these modules, each by itself, only told

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";

/** In bytes, 8 KiB: more no page should load to follow a stream. Where it is in the way, something else has to go. */
const limit = 8_192;

/** Loaded by `import()`, for the few who ask for it. */
const later = ["./event-source.js"];

const root = fileURLToPath(new URL("..", import.meta.url));
const { exports } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

const named = process.argv.slice(2);
for (const entry of named) console.log(words(entry, await sizes(entry)));
if (named.length === 0) {
  const entry = exports["."].default;
  const size = await sizes(entry);
  const room = limit - size.gzipped;
  console.log(`${words(entry, size)}: ${Math.abs(room)} ${room < 0 ? "above" : "under"} the limit of ${limit}`);
  if (room < 0) process.exitCode = 1;
}

/** As the bundler of an application would have it, with nothing left out but what is loaded only when it is wanted. */
async function sizes(entry) {
  const { outputFiles } = await build({
    entryPoints: [entry],
    absWorkingDir: root,
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
    external: later,
  });
  const { code } = await minify(outputFiles[0].text, { ecma: 2020, module: true, compress: { passes: 3 } });
  return { minified: code.length, gzipped: gzipSync(code, { level: 9 }).length };
}

function words(entry, { minified, gzipped }) {
  return `${entry}: ${minified} bytes minified, ${gzipped} gzipped`;
}
