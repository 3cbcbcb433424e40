// The keys that the signed-in person signs with: those the hub knows, and the one in this browser.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, hubUrl } from "../api/client.ts";
import { useMe } from "../api/me.ts";
import type { OwnKeyView } from "../api/schema.gen.ts";
import { decodeBase64 } from "../proof/bytes.ts";
import { canVerify } from "../proof/keys.ts";
import {
  forgetOwnKey,
  keepOwnKey,
  loadOwnKey,
  makeOwnKey,
  type OwnKey,
  provePossession,
} from "../proof/own_key.ts";
import { thisBrowser } from "./browser.ts";

/** This browser's key with what the hub knows of it. */
export interface UsableKey {
  key: OwnKey;
  known: OwnKeyView;
}

const ownerOf = (subject: string) => `${hubUrl("").href} ${subject}`;

/** The person's usable key in this browser; `able` is false where a browser cannot sign at all. */
export function useOwnKey() {
  const { subject } = useMe();
  return useQuery({
    queryKey: ["me", "keys", subject],
    queryFn: async ({ signal }): Promise<{ able: boolean; usable: UsableKey | null }> => {
      if (!(await canVerify())) return { able: false, usable: null };
      const [key, listed] = await Promise.all([
        loadOwnKey(ownerOf(subject)),
        api.get("/api/v1/me/keys", { signal }),
      ]);
      const known = listed.items.find((one) => one.did === key?.did && one.revokedAt === null);
      return { able: true, usable: key && known ? { key, known } : null };
    },
  });
}

/** Make a key in this browser and enrol it; the hub asks for a fresh sign-in. */
export function useEnrolKey() {
  const { subject } = useMe();
  const client = useQueryClient();
  return useMutation({
    mutationFn: async () => {
      const { ceremony, challenge } = await api.post("/api/v1/me/keys/begin");
      const { key, pair } = await makeOwnKey();
      const bytes = decodeBase64(challenge, 32);
      if (bytes === null) throw new Error("The hub's challenge cannot be read.");
      const proof = await provePossession(key, bytes, subject);
      const body = { ceremony, publicKey: key.publicKey, proof, name: thisBrowser() };
      // Kept first: a key the hub knows and nobody has would only be in the way.
      await keepOwnKey(ownerOf(subject), pair);
      return api.post("/api/v1/me/keys", { body });
    },
    onSettled: () => client.invalidateQueries({ queryKey: ["me", "keys"] }),
  });
}

/** Forget this browser's key: where it has ended it is only in the way. */
export function useForgetKey() {
  const { subject } = useMe();
  return () => forgetOwnKey(ownerOf(subject));
}
