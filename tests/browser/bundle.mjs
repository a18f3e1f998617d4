// The client's modules as one address to import from, until the fixture serves them.

import { fileURLToPath } from "node:url";

const client = new URL("../../crates/client-js/", import.meta.url);
let made;

export function bundle() {
  return (made ??= make());
}

async function make() {
  const { build } = await import(new URL("node_modules/esbuild/lib/main.js", client));
  const entryPoints = [fileURLToPath(new URL("js/dualcast.js", client))];
  const { outputFiles } = await build({ entryPoints, bundle: true, format: "esm", write: false });
  return `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`;
}
