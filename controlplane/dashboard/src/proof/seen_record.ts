/**
 * Owns the highest checkpoint of a hub's record that this browser has proved, and whether what the
 * hub shows now contains it (SPEC section 9).
 *
 * Believes nothing without a signature; must not know how a proof is fetched, or who is told.
 */
import { type Bytes, equalBytes } from "./bytes.ts";
import { Refused } from "./json.ts";
import { type Checkpoint, isConsistent, verifyCheckpoint } from "./record.ts";

const nameOf = (hub: string) => `writ record ${hub}`;

/** Two checkpoints, both signed by the root's log, that cannot both be true. */
export class LogFork extends Refused {
  readonly seenBefore: string;
  readonly shownNow: string;
  /** Whether the hub has put the proof on its record. */
  recorded = false;
  constructor(why: string, seenBefore: string, shownNow: string) {
    super("log_fork", why);
    this.seenBefore = seenBefore;
    this.shownNow = shownNow;
  }
}

/** The note of the highest checkpoint that was proved here; ask for it before the hub is asked. */
export function seenRecord(hub: string, storage: Storage = localStorage): string | null {
  return storage.getItem(nameOf(hub));
}

/** Begin anew: the person knows why the record is another one. */
export function forgetRecord(hub: string, storage: Storage = localStorage): void {
  storage.removeItem(nameOf(hub));
}

/** What the hub shows: its note, already verified by the key it was signed with. */
export interface Shown {
  readonly note: string;
  readonly checkpoint: Checkpoint;
  readonly logKey: Bytes;
}

/** Hashes that prove that the record of `newer` entries begins with that of `older`. */
type AskProof = (older: number, newer: number) => Promise<readonly Bytes[] | null>;

/**
 * Remember what is shown when it contains what was seen before it was asked for; else throw `LogFork`.
 *
 * `before` is what `seenRecord` said before the request was sent: what another tab has proved since
 * is no measure of an answer that was under way.
 */
export async function takeShown(
  hub: string,
  before: string | null,
  shown: Shown,
  askProof: AskProof,
  storage: Storage = localStorage,
): Promise<void> {
  const { note, checkpoint, logKey } = shown;
  // Another log's key, after the root has named one: what the one before signed is no measure.
  const seen = before === null ? null : await verifyCheckpoint(before, logKey);
  if (before !== null && seen !== null) {
    const why = await contradictionOf(seen, checkpoint, askProof);
    if (why !== null) throw new LogFork(why, before, note);
  }
  const kept = seenRecord(hub, storage);
  const size = kept === null ? -1 : ((await verifyCheckpoint(kept, logKey))?.size ?? -1);
  if (checkpoint.size > size) storage.setItem(nameOf(hub), note);
}

async function contradictionOf(
  seen: Checkpoint,
  shown: Checkpoint,
  askProof: AskProof,
): Promise<string | null> {
  if (seen.origin !== shown.origin) return "the record has another name than before";
  if (shown.size < seen.size)
    return `the record has ${shown.size} entries, and had ${seen.size} when this browser saw it`;
  if (seen.size === shown.size)
    return equalBytes(seen.rootHash, shown.rootHash)
      ? null
      : `there are two records of ${seen.size} entries`;
  if (seen.size === 0) return null;
  const proof = await askProof(seen.size, shown.size);
  const holds =
    proof !== null &&
    (await isConsistent(
      { size: seen.size, root: seen.rootHash },
      { size: shown.size, root: shown.rootHash },
      proof,
    ));
  return holds
    ? null
    : `the record of ${shown.size} entries does not contain the ${seen.size} this browser saw`;
}
