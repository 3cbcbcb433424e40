/**
 * Owns which root this browser trusts for a hub: the first it was shown, until the person says
 * otherwise.
 *
 * A hub that is broken into could show documents of a root of its own. It cannot make a browser
 * forget the one it has seen.
 */
import { multikeyOf } from "./keys.ts";

/** What a browser knows of a hub's root. */
export interface TrustedRoot {
  /** Multikey of the root that counts here. */
  readonly root: string;
  /** DID of the root that the hub shows now, where that is another one. */
  readonly shownInstead: string | null;
}

const nameOf = (hub: string) => `writ root ${hub}`;

/** The root for the hub at `hub`, which says that it is `shownDid`. Throws for what is no DID. */
export function trustedRoot(
  hub: string,
  shownDid: string,
  storage: Storage = localStorage,
): TrustedRoot {
  const shown = multikeyOf(shownDid);
  const pinned = storage.getItem(nameOf(hub));
  if (pinned === null) storage.setItem(nameOf(hub), shown);
  const root = pinned ?? shown;
  return { root, shownInstead: root === shown ? null : shownDid };
}

/** Trust another root from now on: the person has compared it. */
export function trustRoot(hub: string, did: string, storage: Storage = localStorage): void {
  storage.setItem(nameOf(hub), multikeyOf(did));
}
