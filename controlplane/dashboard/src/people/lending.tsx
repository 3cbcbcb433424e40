// Having an operator lend to a key of one's own, where what the hub has lent does not count.
import { useQuery } from "@tanstack/react-query";
import { api } from "../api/client.ts";
import { coversAction } from "../proof/chain.ts";
import { CopyField } from "../ui/copy.tsx";
import { Note } from "../ui/notes.tsx";

export function CannotSign() {
  return (
    <Note tone="wait">
      This browser cannot sign here: it needs Ed25519 and a page over https (or localhost).
    </Note>
  );
}

/** What an operator types to lend `action` to a key, in these realms or, without any, in all. */
export function OperatorCommand({
  did,
  action,
  realms,
}: {
  did: string;
  action: string;
  realms: readonly string[];
}) {
  const where = realms.map((realm) => ` --realm ${realm}`).join("");
  return (
    <CopyField
      value={`writ delegations issue ${did} --action ${action}${where} --sign OPERATOR.pem`}
      label="command"
      block
    />
  );
}

const MOST_SHOWN = 5;

/** The operators' keys that may lend `action` on, as far as the hub tells; besides the root's own. */
export function WhoLends({ action }: { action: string }) {
  const lenders = useQuery({
    queryKey: ["delegations", "lenders", action],
    queryFn: async ({ signal }) => {
      const about = await api.get("/.well-known/writ.json", { signal });
      const query = { issuer: about.root, limit: 200 };
      const { items } = await api.get("/api/v1/delegations", { query, signal });
      const able = items.filter(
        (one) =>
          one.subject !== about.hub &&
          !one.revoked &&
          one.maxDepth > 0 &&
          Date.parse(one.expiresAt) > Date.now() &&
          one.capabilities.some((capability) => coversAction(capability.action, action)),
      );
      return [...new Set(able.map((one) => one.subject))];
    },
  });
  const dids = lenders.data ?? [];
  if (dids.length === 0) return null;
  return (
    <p className="flex flex-wrap items-center gap-x-2 text-xs text-muted">
      <span>{dids.length === 1 ? "The operator's key:" : "Operators' keys:"}</span>
      {dids.slice(0, MOST_SHOWN).map((did) => (
        <CopyField key={did} value={did} label="operator's DID" short />
      ))}
      {dids.length > MOST_SHOWN && <span>{`and ${dids.length - MOST_SHOWN} more`}</span>}
    </p>
  );
}
