// People: who may come in, what they may do where, and the keys that act for them.
import { Route, Switch } from "wouter";
import { NotFound } from "../../app/not_found.tsx";
import { InvitationsPage } from "./invitations.tsx";
import { KeysPage } from "./keys.tsx";
import { RealmPage } from "./realm.tsx";
import { RealmsPage } from "./realms.tsx";
import { RolesPage } from "./roles.tsx";
import { UserPage } from "./user.tsx";
import { UsersPage } from "./users.tsx";

export default function People() {
  return (
    <Switch>
      <Route path="/people" component={UsersPage} />
      <Route path="/people/users/:id">{({ id }) => <UserPage key={id} id={id} />}</Route>
      <Route path="/people/realms" component={RealmsPage} />
      <Route path="/people/realms/:id">
        {({ id }) => <RealmPage key={id} id={decodeURIComponent(id)} />}
      </Route>
      <Route path="/people/roles" component={RolesPage} />
      <Route path="/people/invitations" component={InvitationsPage} />
      <Route path="/people/keys" component={KeysPage} />
      <Route component={NotFound} />
    </Switch>
  );
}
