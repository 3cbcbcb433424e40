"""The page at `/docs`: reads `/openapi.json` and shows it, with nothing from anywhere else.

Text enters the page only as text nodes, so that no description can become markup.
"""

from __future__ import annotations

from typing import Final

DOCS_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DOCS_HTML: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Writ API</title>
<link rel="stylesheet" href="docs/page.css">
<h1>Writ API</h1>
<p id="about">Loading <a href="openapi.json">openapi.json</a> ...</p>
<main id="operations"></main>
<script src="docs/page.js"></script>
</html>
"""
DOCS_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
details { border-top: 1px solid #8884; padding: .5rem 0; }
summary { cursor: pointer; }
code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { overflow-x: auto; background: #8881; padding: .75rem; border-radius: .25rem; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; }
.summary { opacity: .8; }
"""
DOCS_SCRIPT: Final = """
"use strict";
const make = (tag, text, className) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
};
const resolve = (schema, all, depth) => {
  if (!schema || typeof schema !== "object" || depth > 6) return schema;
  if (Array.isArray(schema)) return schema.map((one) => resolve(one, all, depth + 1));
  if (schema.$ref) return resolve(all[schema.$ref.split("/").pop()], all, depth + 1);
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, resolve(value, all, depth + 1)]));
};
const show = (title, schema, all, parent) => {
  if (!schema) return;
  parent.append(make("h4", title));
  parent.append(make("pre", JSON.stringify(resolve(schema, all, 0), null, 2)));
};
const render = (api) => {
  const all = (api.components || {}).schemas || {};
  document.getElementById("about").textContent = api.info.description;
  const main = document.getElementById("operations");
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, one] of Object.entries(methods)) {
      const box = make("details");
      const head = make("summary");
      head.append(make("span", method.toUpperCase(), "method"), make("code", path), " ",
        make("span", one.summary, "summary"));
      box.append(head);
      box.append(make("p", "Permission: " + one["x-permission"]));
      for (const one_parameter of one.parameters || [])
        box.append(make("p", one_parameter.in + " " + one_parameter.name));
      const body = one.requestBody && one.requestBody.content["application/json"];
      show("Body", body && body.schema, all, box);
      for (const [status, answer] of Object.entries(one.responses)) {
        const media = Object.values(answer.content || {})[0];
        const title = status + " " + answer.description;
        if (Number(status) < 400) show(title, media && media.schema, all, box);
        else box.append(make("p", title));
      }
      main.append(box);
    }
  }
};
fetch("openapi.json").then((answer) => answer.json()).then(render, () => {
  document.getElementById("about").textContent = "openapi.json could not be read";
});
"""
