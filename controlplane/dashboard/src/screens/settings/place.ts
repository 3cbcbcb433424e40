// A place for files as the form holds it, and as the hub is asked for it.
import type { StorageBody, StorageSettingsView } from "../../api/schema.gen.ts";

export type Kind = "start" | "folder" | "s3";
/** Which credentials go with S3: those kept, those of the hub's machine, or new ones. */
export type Login = "keep" | "machine" | "new";

export interface Draft {
  kind: Kind;
  folder: string;
  bucket: string;
  endpoint: string;
  region: string;
  login: Login;
  keyId: string;
  secret: string;
}

/** What is in use, as a form begins with it; secrets never come back. */
export function draftOf(now: StorageSettingsView): Draft {
  const s3 = now.url.startsWith("s3://");
  return {
    kind: now.origin === "setting" ? (s3 ? "s3" : "folder") : "start",
    folder: s3 ? "" : now.url,
    bucket: s3 ? now.url.slice("s3://".length) : "",
    endpoint: now.endpoint ?? "",
    region: now.region ?? "",
    login: now.hasCredentials ? "keep" : s3 ? "machine" : "new",
    keyId: "",
    secret: "",
  };
}

/** Whether the hub would still use the credentials it keeps: never with another server. */
export function keepsCredentials(draft: Draft, now: StorageSettingsView): boolean {
  if (!now.hasCredentials || draft.kind !== "s3") return false;
  const sameServer = draft.endpoint.trim() === (now.endpoint ?? "");
  const sameBucket = `s3://${draft.bucket.trim()}` === now.url;
  return sameServer && (sameBucket || draft.endpoint.trim() !== "");
}

/** What is asked of the hub, for a test and for the switch alike. */
export function bodyOf(draft: Draft): StorageBody {
  if (draft.kind === "start") return { url: null };
  if (draft.kind === "folder") return { url: draft.folder.trim() };
  const place = {
    url: `s3://${draft.bucket.trim().replace(/^s3:\/\//, "")}`,
    endpoint: draft.endpoint.trim() || null,
    region: draft.region.trim() || null,
  };
  if (draft.login === "keep") return place;
  if (draft.login === "machine") return { ...place, credentials: null };
  return {
    ...place,
    credentials: { accessKeyId: draft.keyId.trim(), secretAccessKey: draft.secret },
  };
}
