import assert from "node:assert/strict";
import { test } from "node:test";
import { ownAddress } from "./own_address.ts";

const BASES = ["http://hub.example/", "https://hub.example:8443/", "https://example.org/writ/"];
const HOSTILE = [
  "//evil.example",
  "///evil.example/x",
  "////evil.example/x",
  "/\\evil.example",
  "\\\\evil.example",
  "/\\\\evil.example",
  "/\\/evil.example",
  "\t//evil.example",
  "/\t/evil.example",
  "//\n/evil.example",
  " //evil.example",
  "https:evil.example",
  "http:evil.example",
  "https:/evil.example",
  "https://evil.example",
  "HTTPS://EVIL.EXAMPLE",
  "https://hub.example@evil.example/",
  "https://hub.example.evil.example/",
  "//hub.example@evil.example",
  "javascript:alert(1)",
  "JaVaScRiPt:alert(1)",
  "java\nscript:alert(1)",
  "\u0000javascript:alert(1)",
  "/javascript:alert(1)",
  "javascript://hub.example/%0aalert(1)",
  "data:text/html,<script>alert(1)</script>",
  "vbscript:x",
  "blob:https://evil.example/x",
  "%2f%2fevil.example",
  "/%2f%2fevil.example",
  "/%5cevil.example",
  "/..//evil.example",
  "/../../evil",
  "/a/..//..//evil.example",
  "/%2e%2e/%2e%2e/evil",
  "https://[::1",
];

test("what is of the hub lies below its own address", () => {
  for (const base of BASES) {
    assert.equal(ownAddress("/api/v1/me", base).href, `${base}api/v1/me`);
    assert.equal(ownAddress("docs", base).href, `${base}docs`);
    assert.equal(ownAddress("", base).href, base);
    assert.equal(ownAddress("", `${base}fleet?x=1#y`).href, base);
  }
});

test("no address leads away from the hub, or out of the path it lies below", () => {
  for (const base of BASES)
    for (const hostile of HOSTILE) {
      let url: URL;
      try {
        url = ownAddress(hostile, base);
      } catch {
        continue; // refused
      }
      assert.ok(url.href.startsWith(base), `${JSON.stringify(hostile)} became ${url.href}`);
    }
});

test("what names another place is refused, not bent into one of ours", () => {
  for (const hostile of ["///evil.example/x", "javascript:alert(1)", "https://evil.example"])
    for (const base of BASES) assert.throws(() => ownAddress(hostile, base), hostile);
});
