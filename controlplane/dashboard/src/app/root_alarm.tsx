// The hub shows another root than this browser trusts: said on every screen, and accepted only by a
// person who has compared it somewhere else.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { OctagonAlert } from "lucide-react";
import { useState } from "react";
import { api, hubUrl } from "../api/client.ts";
import { didOf } from "../proof/keys.ts";
import { trustedRoot, trustRoot } from "../proof/trusted_root.ts";
import { Button } from "../ui/button.tsx";
import { Confirm } from "../ui/confirm.tsx";
import { CopyButton } from "../ui/copy.tsx";
import { inert } from "../ui/inert.ts";

/** So many characters of the new root have to be typed. */
const TYPED_CHARS = 8;
const LOOK_AGAIN_MS = 300_000;

interface Roots {
  /** DIDs. */
  trusted: string;
  shown: string;
}

export function RootAlarm() {
  const client = useQueryClient();
  const [asked, setAsked] = useState(false);
  const { data: changed } = useQuery({
    queryKey: ["settings", "root"],
    refetchInterval: LOOK_AGAIN_MS,
    queryFn: async ({ signal }) =>
      rootsThatDiffer((await api.get("/.well-known/writ.json", { signal })).root),
  });
  if (!changed) return null;
  const accept = () => {
    trustRoot(hubUrl("").href, changed.shown);
    setAsked(false);
    // What was shown as proved was proved under the old one.
    void client.invalidateQueries();
  };
  return (
    <div
      role="alert"
      className="flex flex-wrap items-center gap-x-4 gap-y-2 border-b-2 border-bad-mark bg-bad-ground px-4 py-3 text-bad"
    >
      <OctagonAlert aria-hidden className="size-5 shrink-0" />
      <div className="min-w-0 flex-1 basis-72">
        <p className="font-semibold">This hub shows another root than this browser trusts</p>
        <p>
          Either its owners have replaced the root, or the hub is not what it was. Until somebody
          has compared the two, nothing it shows counts as proved here.
        </p>
      </div>
      <Button onClick={() => setAsked(true)}>Compare…</Button>
      <Confirm
        open={asked}
        onOpenChange={setAsked}
        title="Trust another root?"
        typed={changed.shown.slice(-TYPED_CHARS)}
        verb="Trust the new root"
        danger
        onConfirm={accept}
      >
        <p>
          Every chain begins at the root: with this, everything that the new one has signed counts
          in this browser. Read it where the key is kept, or have it read to you by somebody who
          knows, not from this page: <code className="text-xs">writ hub init</code> and{" "}
          <code className="text-xs">writ hub rotate-root</code> say it. Agents do not take it from
          here; they follow the old root's signature, or go on refusing.
        </p>
        <Root name="Trusted until now" did={changed.trusted} />
        <Root name="Shown now" did={changed.shown} />
      </Confirm>
    </div>
  );
}

function Root({ name, did }: { name: string; did: string }) {
  const key = did.replace("did:key:", "");
  return (
    <div className="rounded-md border border-line bg-sunken px-3 py-2">
      <p className="text-xs font-medium text-muted">{name}</p>
      <p className="flex items-center justify-between gap-2">
        {/* In groups, as people read it to each other. */}
        <code className="text-sm text-ink">{inert(key.replace(/(.{4})(?=.)/gu, "$1 "))}</code>
        <CopyButton text={did} label={`Copy the root ${name.toLowerCase()}`} />
      </p>
    </div>
  );
}

/** Both roots where they differ; null where they do not, or nothing is kept in this browser. */
function rootsThatDiffer(did: string): Roots | null {
  try {
    const { root, shownInstead } = trustedRoot(hubUrl("").href, did);
    return shownInstead === null ? null : { trusted: didOf(root), shown: shownInstead };
  } catch {
    // What is no root at all is refused by each proof; there is none to accept.
    return null;
  }
}
