import assert from "node:assert/strict";
import { test } from "node:test";
import type { StorageSettingsView } from "../../api/schema.gen.ts";
import { bodyOf, draftOf, keepsCredentials } from "./place.ts";

const onS3: StorageSettingsView = {
  url: "s3://bucket/writ",
  endpoint: "http://s3.example:9000",
  region: null,
  hasCredentials: true,
  origin: "setting",
  conditionalWrites: true,
  earlier: [],
  updatedAt: null,
  updatedBy: null,
  etag: '"1"',
};

test("kept credentials are sent to nobody else", () => {
  const draft = draftOf(onS3);
  assert.equal(keepsCredentials(draft, onS3), true);
  assert.equal(keepsCredentials({ ...draft, bucket: "other" }, onS3), true);
  assert.equal(keepsCredentials({ ...draft, endpoint: "http://thief.example" }, onS3), false);
  assert.equal(keepsCredentials({ ...draft, endpoint: "" }, onS3), false);
  assert.equal(keepsCredentials({ ...draft, kind: "folder" }, onS3), false);
});

test("what is kept is not sent, and the machine's own are asked for by name", () => {
  const draft = draftOf(onS3);
  assert.ok(!("credentials" in bodyOf(draft)));
  assert.equal(bodyOf({ ...draft, login: "machine" }).credentials, null);
  assert.deepEqual(bodyOf({ ...draft, login: "new", keyId: " id ", secret: " s " }).credentials, {
    accessKeyId: "id",
    secretAccessKey: " s ",
  });
});

test("a bucket may be typed with its scheme", () => {
  assert.equal(bodyOf({ ...draftOf(onS3), bucket: "s3://a/b" }).url, "s3://a/b");
  assert.deepEqual(bodyOf({ ...draftOf(onS3), kind: "start" }), { url: null });
});
