// Fleet: every agent, those who ask to become one, and each of them in full.
import { Route, Switch } from "wouter";
import { NotFound } from "../../app/not_found.tsx";
import { AgentPage } from "./agent/page.tsx";
import { AgentsPage } from "./agents_page.tsx";
import { TokensPage } from "./tokens.tsx";

export default function Fleet() {
  return (
    <Switch>
      <Route path="/fleet">
        <AgentsPage request={null} />
      </Route>
      <Route path="/fleet/tokens" component={TokensPage} />
      <Route path="/fleet/requests/:id">{({ id }) => <AgentsPage request={id} />}</Route>
      <Route path="/fleet/:did/:part?">
        {({ did, part }) => <AgentPage key={did} did={did} part={part ?? ""} />}
      </Route>
      <Route component={NotFound} />
    </Switch>
  );
}
