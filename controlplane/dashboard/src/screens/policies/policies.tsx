// The screen of policies: who has which, one agent's, and what a change would do.
import { Route, Switch } from "wouter";
import { AgentPolicy } from "./agent.tsx";
import { LayerPolicy } from "./layer.tsx";
import { PolicyList } from "./list.tsx";

export default function Policies() {
  return (
    <Switch>
      <Route path="/policies" component={PolicyList} />
      <Route path="/policies/agents/:did">
        {({ did }) => <AgentPolicy key={did} did={decodeURIComponent(did)} />}
      </Route>
      <Route path="/policies/layers/:layer">
        {({ layer }) => <LayerPolicy key={layer} layer={decodeURIComponent(layer)} />}
      </Route>
    </Switch>
  );
}
