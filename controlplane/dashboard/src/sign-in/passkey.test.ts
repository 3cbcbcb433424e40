import assert from "node:assert/strict";
import { test } from "node:test";
import { passkeyPlace } from "./passkey.ts";

function at(address: string): void {
  Object.assign(globalThis, { window: { location: new URL(address), isSecureContext: true } });
}

test("the name a passkey needs leads to the same hub, whatever the path says", () => {
  for (const path of ["", "/", "/fleet", "//evil.example/x", "/\\evil.example", "/@evil.example"]) {
    at(`http://127.0.0.1:8080${path}`);
    const { instead } = passkeyPlace("localhost");
    assert.ok(instead !== null);
    assert.equal(new URL(instead).origin, "http://localhost:8080");
  }
});

test("another machine's hub is named by nobody but itself", () => {
  at("http://192.0.2.1:8080/");
  assert.equal(passkeyPlace("localhost").instead, null);
  at("https://hub.example/");
  assert.equal(passkeyPlace("evil.example").instead, null);
});
