// The record as the hub tells of it: pages of entries, and what this browser proves of it itself.
import { useQuery } from "@tanstack/react-query";
import { api, hubUrl } from "../../api/client.ts";
import { usePages } from "../../api/pages.ts";
import type { LeafView } from "../../api/schema.gen.ts";
import { utf8 } from "../../proof/bytes.ts";
import { Refused } from "../../proof/json.ts";
import { canVerify } from "../../proof/keys.ts";
import { logKey } from "../../proof/log_key.ts";
import { decodeHashes, isIncluded, leafHash, verifyCheckpoint } from "../../proof/record.ts";
import { trustedRoot } from "../../proof/trusted_root.ts";
import { linesOf, type Progress, proveRecord, type RecordProof } from "../../proof/whole_record.ts";

export const FILTERS = ["kind", "actor", "subject", "realm", "since", "until"] as const;
export type Filters = Partial<Record<(typeof FILTERS)[number], string>>;

/** Families of entries, as `kind=family.*` asks for them. */
export const FAMILIES = [
  "intent",
  "approval",
  "agent",
  "registration",
  "join_token",
  "document",
  "policy",
  "delegation",
  "revocations",
  "file",
  "realm",
  "member",
  "invitation",
  "user",
  "session",
  "sign_in_link",
  "passkey",
  "device_login",
  "key",
  "api_key",
  "token",
  "token_key",
  "secrets",
  "audit",
  "settings",
  "hub",
  "webhook",
] as const;

export function useEntries(filters: Filters) {
  return usePages<LeafView>(["audit", "list", filters], ({ limit, cursor }, signal) =>
    api.get("/api/v1/audit", { query: { ...filters, limit, cursor } as never, signal }),
  );
}

/** Where the chosen entries can be fetched as a file. */
export function exportAddress(filters: Filters, format: "proof" | "jsonl" | "cef"): string {
  const url = hubUrl("/api/v1/audit/export");
  for (const [name, value] of Object.entries({ ...filters, format }))
    url.searchParams.set(name, value);
  return url.href;
}

/** The root this browser trusts; throws where the hub now shows another, or nothing can be checked. */
async function rootToTrust(signal?: AbortSignal): Promise<string> {
  if (!(await canVerify()))
    throw new Refused("no_crypto", "this browser cannot check here: use `writ audit verify`");
  const about = await api.get("/.well-known/writ.json", signal ? { signal } : {});
  const { root, shownInstead } = trustedRoot(hubUrl("").href, about.root);
  if (shownInstead !== null)
    throw new Refused("other_root", `the hub shows another root now: ${shownInstead}`);
  return root;
}

/** Whether an entry lies in the record under the newest checkpoint, checked by this browser. */
export function useInclusion(entry: LeafView | undefined) {
  return useQuery({
    queryKey: ["audit", "inclusion", entry?.index, entry?.hash],
    enabled: entry !== undefined,
    staleTime: Infinity,
    retry: false,
    queryFn: async ({ signal }) => {
      const { index, leaf } = entry as LeafView;
      const root = await rootToTrust(signal);
      const given = await api.get("/api/v1/audit/proof/inclusion", { query: { index }, signal });
      const note = await verifyCheckpoint(
        given.checkpoint,
        await logKey(given.logDelegation, root),
      );
      if (note === null)
        throw new Refused("bad_checkpoint", "the checkpoint is not signed by the root's log");
      const proof = decodeHashes(given.proof);
      const where = { index, size: note.size, proof: proof ?? [], root: note.rootHash };
      if (proof === null || !(await isIncluded(await leafHash(utf8(leaf)), where)))
        throw new Refused("bad_inclusion", "the entry shown is not the one in the signed record");
      return { index, size: note.size };
    },
  });
}

/** Fetch the whole record and prove it, entry by entry, in this browser. */
export async function proveAll(
  onProgress: (progress: Progress) => void,
  signal: AbortSignal,
): Promise<RecordProof> {
  const root = await rootToTrust(signal);
  const answer = await fetch(exportAddress({}, "proof"), {
    credentials: "same-origin",
    cache: "no-store",
    signal,
  });
  if (!answer.ok || answer.body === null)
    throw new Refused("no_export", `the hub gave no export (HTTP ${answer.status})`);
  return proveRecord(linesOf(answer.body), root, onProgress);
}
