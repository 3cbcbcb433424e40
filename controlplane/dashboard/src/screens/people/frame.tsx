// The frame that the parts of People share: one title, their links, what can be done there.
import type { ReactNode } from "react";
import { useCan } from "../../api/me.ts";
import { Page } from "../../app/page.tsx";
import { LinkTabs } from "../../ui/link_tabs.tsx";

const PARTS = [
  ["/people", "People"],
  ["/people/realms", "Realms"],
  ["/people/roles", "Roles"],
  ["/people/invitations", "Invitations"],
  ["/people/keys", "API keys"],
] as const;

export function PeopleFrame({ actions, children }: { actions?: ReactNode; children: ReactNode }) {
  const maySeeInvitations = useCan("invitations.read");
  const shown = PARTS.filter(([to]) => to !== "/people/invitations" || maySeeInvitations);
  return (
    <Page title="People" flush actions={actions}>
      <div className="px-4 pb-3 sm:px-3">
        <LinkTabs label="Parts of People" tabs={shown.map(([to, label]) => ({ to, label }))} />
      </div>
      {children}
    </Page>
  );
}
