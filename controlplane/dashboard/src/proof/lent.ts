/**
 * Owns whether a chain of delegations was signed as it is shown: from the root this browser trusts,
 * each by the subject of the one above, each inside what that one allows (SPEC section 7, step 2).
 *
 * Says nothing of time and revocation: a chain that ran out was signed all the same.
 */
import { isAttenuated, readHeld } from "./chain.ts";
import { isSigned } from "./envelope.ts";
import { Refused } from "./json.ts";
import { canVerify, didOf } from "./keys.ts";

export type Verified = "verified" | "not checked";

/**
 * `documents` as signed, root first; `root` is a Multikey. "not checked" where this browser has no
 * Ed25519. Throws `Refused` with `bad_chain` or `not_attenuated`.
 */
export async function verifyLent(documents: readonly string[], root: string): Promise<Verified> {
  if (!(await canVerify())) return "not checked";
  const links = [...(await readHeld(documents)).values()];
  if (links.length !== documents.length) throw new Refused("bad_chain", "a link is there twice");
  let [signer, digest]: [string, string | null] = [didOf(root), null];
  for (const [index, link] of links.entries()) {
    if (link.sender !== signer || link.payload.parent !== digest)
      throw new Refused("bad_chain", "a link is not signed by the subject above it");
    if (!(await isSigned(link.envelope)))
      throw new Refused("bad_chain", "the signature of a link does not hold");
    const above = links[index - 1];
    if (above !== undefined && !isAttenuated(link, above))
      throw new Refused("not_attenuated", "a link allows more than the one above it");
    [signer, digest] = [link.payload.subject, link.digest];
  }
  return "verified";
}
