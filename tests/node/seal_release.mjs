// Signs releases as the dashboard does: reads JSON lines, prints one document a line.
import { createInterface } from "node:readline";
import { fromHex } from "../../controlplane/dashboard/src/proof/bytes.ts";
import { sealRelease } from "../../controlplane/dashboard/src/proof/releases.ts";

/** RFC 8410: what stands before an Ed25519 seed. */
const PKCS8 = "302e020100300506032b657004220420";

for await (const line of createInterface({ input: process.stdin })) {
  const { seed, publicKey, agent, epoch, reason, proof, now } = JSON.parse(line);
  const key = await crypto.subtle.importKey("pkcs8", fromHex(PKCS8 + seed), "Ed25519", false, ["sign"]);
  const sign = async (message) => new Uint8Array(await crypto.subtle.sign("Ed25519", key, message));
  const said = { reason, proof, now: new Date(now) };
  console.log(await sealRelease({ publicKey, sign }, { agent, epoch }, said));
}
