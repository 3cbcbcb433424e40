// An API key in words: whether it counts, whose it is, what it is narrowed to.
import type { ApiKeyView } from "../../api/schema.gen.ts";
import { State, type Tone } from "../../ui/badge.tsx";
import { inert } from "../../ui/inert.ts";

export function KeyStanding({ of }: { of: ApiKeyView }) {
  const [tone, word] = standingOf(of);
  return <State tone={tone}>{word}</State>;
}

function standingOf(key: ApiKeyView): [Tone, string] {
  if (key.revokedAt !== null) return ["idle", "revoked"];
  // A key ends with whom it acts for.
  if (key.kind !== "machine" && key.user === null) return ["idle", "ended"];
  const over = key.expiresAt !== null && Date.parse(key.expiresAt) <= Date.now();
  return over ? ["idle", "expired"] : ["good", "active"];
}

/** Whose a key is, in words. */
export function ownerOf(key: ApiKeyView): string {
  if (key.kind === "machine") return "a machine";
  return inert(key.user ?? "somebody removed");
}

/** What a key is narrowed to, in words. */
export function reachOf(key: ApiKeyView): string {
  const may = [...key.roles, ...key.scopes].join(", ");
  return may || "all its owner may";
}
