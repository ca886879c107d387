// Judges the documents named by its arguments, OpenAPI or AsyncAPI, and prints every finding as JSON.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

// Linters live beside the package file, wherever they were installed; this file stays in the tree.
const [installed, ...files] = process.argv.slice(2);
const require = createRequire(pathToFileURL(resolve(installed, "package.json")));
const { Document, Spectral } = require("@stoplight/spectral-core");
const { Json } = require("@stoplight/spectral-parsers");
const { asyncapi, oas } = require("@stoplight/spectral-rulesets");
const { createConfig, lintFromString } = require("@redocly/openapi-core");
const { Parser } = require("@asyncapi/parser");

const SEVERITIES = ["error", "warning", "information", "hint"];

function fromSpectral(tool, found) {
  return found.map(({ code, message, path, severity }) => ({
    tool,
    rule: String(code),
    severity: SEVERITIES[severity],
    place: path.join("."),
    message,
  }));
}

async function bySpectral(text, file, rules) {
  const spectral = new Spectral();
  spectral.setRuleset({ extends: [[rules, "recommended"]] });
  return fromSpectral("spectral", await spectral.run(new Document(text, Json, file)));
}

async function byRedocly(text, file) {
  const config = await createConfig({ extends: ["recommended"] });
  const found = await lintFromString({ source: text, absoluteRef: resolve(file), config });
  return found.map(({ ruleId, message, severity, location }) => ({
    tool: "redocly",
    rule: ruleId,
    severity: severity === "warn" ? "warning" : severity,
    place: location[0]?.pointer ?? "",
    message,
  }));
}

async function byParser(text, file) {
  const { diagnostics } = await new Parser().parse(text, { source: file });
  return fromSpectral("asyncapi", diagnostics);
}

async function lint(file) {
  const text = await readFile(file, "utf-8");
  const found = JSON.parse(text).asyncapi
    ? [await bySpectral(text, file, asyncapi), await byParser(text, file)]
    : [await bySpectral(text, file, oas), await byRedocly(text, file)];
  return found.flat().map((finding) => ({ file, ...finding }));
}

const findings = [];
for (const file of files) {
  findings.push(...(await lint(file)));
}
process.stdout.write(JSON.stringify(findings));
