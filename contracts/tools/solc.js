#!/usr/bin/env node
// The Solidity compiler of package.json behind the command line that forge expects of a native one.
//
// forge asks for `--version` and sends one JSON document to `--standard-json`, with all sources in it. Nothing is read
// from disk and nothing is fetched here. Other options of native solc are ignored: forge's own only set search paths.
"use strict";

const solc = require("solc");

if (process.argv.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else if (process.argv.includes("--standard-json")) {
  const chunks = [];
  process.stdin.on("data", (chunk) => chunks.push(chunk));
  process.stdin.on("end", () => process.stdout.write(solc.compile(Buffer.concat(chunks).toString("utf8"))));
} else {
  process.stderr.write("solc.js: --version or --standard-json\n");
  process.exitCode = 1;
}
