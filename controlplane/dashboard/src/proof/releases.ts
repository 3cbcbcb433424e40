/**
 * Owns the document that lets a stopped agent work again (SPEC section 6, `quarantine`).
 *
 * Whether it does is the agent's to judge: it believes an operator or the root, never a hub.
 */
import { newId, type Signer, sealDocument } from "./envelope.ts";

const LIFETIME_MILLISECONDS = 30 * 86_400_000;

/**
 * The text of a signed release, as `writ agents release --sign` makes it.
 *
 * `epoch` is that of the quarantine the person has seen, 0 where there is none: one that was set
 * meanwhile has a higher one, and is not lifted by a yes to the one before.
 */
export async function sealRelease(
  signer: Signer,
  stopped: { readonly agent: string; readonly epoch: number },
  release: { reason: string; proof: readonly string[]; now: Date },
): Promise<string> {
  const { reason, proof, now } = release;
  return sealDocument(signer, {
    type: "quarantine",
    id: newId(now),
    audience: stopped.agent,
    timestamp: now,
    expires: new Date(now.getTime() + LIFETIME_MILLISECONDS),
    payload: {
      epoch: stopped.epoch + 1,
      active: false,
      reason,
      ...(proof.length === 0 ? {} : { proof: [...proof] }),
    },
  });
}
