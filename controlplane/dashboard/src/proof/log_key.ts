/** Owns which key a log's checkpoints have to be signed by: the one that the root made a log. */
import type { DelegationPayload } from "./documents.ts";
import { verifyStored } from "./envelope.ts";
import { Refused } from "./json.ts";
import { multikeyOf, parseMultikey } from "./keys.ts";

/** The log's key by its delegation straight from `root` (a Multikey). Throws `bad_checkpoint`. */
export async function logKey(delegation: string, root: string) {
  const link = await verifyStored(delegation, "delegation");
  const { subject, capabilities } = link.payload as unknown as DelegationPayload;
  if (link.publicKey !== root)
    throw new Refused("bad_checkpoint", "the log's delegation is not from the root");
  if (!capabilities.some((one) => one.action === "writ.log")) {
    throw new Refused("bad_checkpoint", "the root did not make this key a log");
  }
  return parseMultikey(multikeyOf(subject));
}
