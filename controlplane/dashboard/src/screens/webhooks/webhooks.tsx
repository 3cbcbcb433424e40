// Webhooks: addresses that are told of events, and what became of telling them.
import { Route, Switch } from "wouter";
import { NotFound } from "../../app/not_found.tsx";
import { WebhookList } from "./list.tsx";
import { WebhookPage } from "./webhook.tsx";

export default function Webhooks() {
  return (
    <Switch>
      <Route path="/webhooks" component={WebhookList} />
      <Route path="/webhooks/:id">{({ id }) => <WebhookPage key={id} id={id} />}</Route>
      <Route component={NotFound} />
    </Switch>
  );
}
