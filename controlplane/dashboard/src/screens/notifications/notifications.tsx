// What this person was told, and what they want to be told.
import { Route, Switch } from "wouter";
import { NotFound } from "../../app/not_found.tsx";
import { Page } from "../../app/page.tsx";
import { LinkTabs } from "../../ui/link_tabs.tsx";
import { Inbox } from "./inbox.tsx";
import { Preferences } from "./preferences.tsx";

const TABS = [
  { to: "/notifications", label: "Inbox" },
  { to: "/notifications/preferences", label: "What you are told" },
];

export default function Notifications() {
  return (
    <Switch>
      <Route path="/notifications">
        <Part>
          <Inbox />
        </Part>
      </Route>
      <Route path="/notifications/preferences">
        <Part>
          <Preferences />
        </Part>
      </Route>
      <Route component={NotFound} />
    </Switch>
  );
}

function Part({ children }: { children: React.ReactNode }) {
  return (
    <Page title="Notifications" about="Each fact once, to whom it concerns.">
      <LinkTabs label="Notifications" tabs={TABS} />
      <div className="pt-4">{children}</div>
    </Page>
  );
}
