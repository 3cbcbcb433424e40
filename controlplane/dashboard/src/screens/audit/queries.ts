// The record as the hub tells of it: pages of entries, and what this browser proves of it itself.
import { queryOptions, useQuery } from "@tanstack/react-query";
import { api, hubUrl } from "../../api/client.ts";
import { usePages } from "../../api/pages.ts";
import type { LeafView } from "../../api/schema.gen.ts";
import { utf8 } from "../../proof/bytes.ts";
import { Refused } from "../../proof/json.ts";
import { canVerify } from "../../proof/keys.ts";
import { logKey } from "../../proof/log_key.ts";
import { decodeHashes, isIncluded, leafHash, verifyCheckpoint } from "../../proof/record.ts";
import { LogFork, type Shown, seenRecord, takeShown } from "../../proof/seen_record.ts";
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

/** Compare what the hub shows with what this browser saw before; a fork is reported to the hub. */
async function compareWithSeen(
  before: string | null,
  shown: Shown,
  signal: AbortSignal,
): Promise<void> {
  try {
    await takeShown(hubUrl("").href, before, shown, async (older, newer) => {
      const query = { old: older, new: newer };
      const given = await api.get("/api/v1/audit/proof/consistency", { query, signal });
      return decodeHashes(given.proof);
    });
  } catch (error) {
    if (error instanceof LogFork) error.recorded = await reportFork(error);
    throw error;
  }
}

/** How many entries this browser had seen, null for none, and how many the record has now. */
export interface Growth {
  readonly before: number | null;
  readonly now: number;
}

/** Whether the record has only grown since this browser last looked; throws `LogFork` if not. */
export const growth = queryOptions({
  // No event makes it stale: it is asked when the screen is opened.
  queryKey: ["settings", "record-growth"],
  staleTime: 60_000,
  retry: false,
  queryFn: async ({ signal }): Promise<Growth> => {
    const root = await rootToTrust(signal);
    const before = seenRecord(hubUrl("").href);
    const given = await api.get("/api/v1/audit/checkpoint", { signal });
    const key = await logKey(given.logDelegation, root);
    const checkpoint = await verifyCheckpoint(given.checkpoint, key);
    if (checkpoint === null)
      throw new Refused("bad_checkpoint", "the checkpoint is not signed by the root's log");
    await compareWithSeen(before, { note: given.checkpoint, checkpoint, logKey: key }, signal);
    const seen = before === null ? null : await verifyCheckpoint(before, key);
    return { before: seen?.size ?? null, now: checkpoint.size };
  },
});

/** Hand the hub the proof; a hub that does not take it changes nothing about what was seen here. */
async function reportFork({ seenBefore, shownNow }: LogFork): Promise<boolean> {
  return api.post("/api/v1/audit/fork-reports", { body: { seenBefore, shownNow } }).then(
    () => true,
    () => false,
  );
}

/** The forks on the record, newest first. */
export const forkReports = queryOptions({
  queryKey: ["audit", "forks"],
  queryFn: ({ signal }) =>
    api.get("/api/v1/audit", { query: { kind: "audit.fork_reported", limit: 5 }, signal }),
});

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
      const before = seenRecord(hubUrl("").href);
      const given = await api.get("/api/v1/audit/proof/inclusion", { query: { index }, signal });
      const key = await logKey(given.logDelegation, root);
      const note = await verifyCheckpoint(given.checkpoint, key);
      if (note === null)
        throw new Refused("bad_checkpoint", "the checkpoint is not signed by the root's log");
      const proof = decodeHashes(given.proof);
      const where = { index, size: note.size, proof: proof ?? [], root: note.rootHash };
      if (proof === null || !(await isIncluded(await leafHash(utf8(leaf)), where)))
        throw new Refused("bad_inclusion", "the entry shown is not the one in the signed record");
      const shown = { note: given.checkpoint, checkpoint: note, logKey: key };
      await compareWithSeen(before, shown, signal);
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
  const before = seenRecord(hubUrl("").href);
  const answer = await fetch(exportAddress({}, "proof"), {
    credentials: "same-origin",
    cache: "no-store",
    signal,
  });
  if (!answer.ok || answer.body === null)
    throw new Refused("no_export", `the hub gave no export (HTTP ${answer.status})`);
  const proof = await proveRecord(linesOf(answer.body), root, onProgress);
  await compareWithSeen(before, proof, signal);
  return proof;
}
