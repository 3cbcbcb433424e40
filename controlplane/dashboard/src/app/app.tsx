// The whole: who is signed in decides what is shown; the shell routes the rest.
import { QueryClientProvider, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { Route, Router, Switch } from "wouter";
import { hubUrl } from "../api/client.ts";
import { follow, makeQueryClient } from "../api/freshness.ts";
import { live } from "../api/live.ts";
import { useSession } from "../api/me.ts";
import { unreachable } from "../api/problem.ts";
import { session } from "../api/session.ts";
import { AskAgain } from "../sign-in/ask_again.tsx";
import { DevicePage } from "../sign-in/device_page.tsx";
import { EnterPage } from "../sign-in/enter_page.tsx";
import { InvitePage } from "../sign-in/invite_page.tsx";
import { SignInPage } from "../sign-in/sign_in_page.tsx";
import { Failed } from "../ui/notes.tsx";
import { Toasts } from "../ui/toasts.tsx";
import { listenToKeys } from "./hotkeys.ts";
import { preload } from "./screens.ts";
import { Shell } from "./shell.tsx";

const BASE = hubUrl("").pathname.replace(/\/$/, "");

export function App() {
  const [client] = useState(makeQueryClient);
  useEffect(() => {
    // The hub has seen whether a session came with the page; without one there is nobody to ask for.
    const hint = document.querySelector<HTMLMetaElement>("meta[name=writ-session]")?.content;
    if (hint === "none") session.signedOut();
    else {
      preload(window.location.pathname.slice(BASE.length));
      void session.refresh();
    }
    return listenToKeys();
  }, []);
  return (
    <QueryClientProvider client={client}>
      <Router base={BASE}>
        <Switch>
          <Route path="/enter">
            <EnterPage />
          </Route>
          <Route>
            <Doors />
          </Route>
        </Switch>
        <AskAgain />
        <Toasts />
      </Router>
    </QueryClientProvider>
  );
}

function Doors() {
  const { me, unreachable: lost } = useSession();
  if (me === undefined)
    return lost ? <Failed error={unreachable()} onRetry={() => void session.refresh()} /> : null;
  return (
    <Switch>
      <Route path="/invite">
        <InvitePage />
      </Route>
      <Route>{me === null ? <SignInPage /> : <SignedIn who={me.id} />}</Route>
    </Switch>
  );
}

function SignedIn({ who }: { who: string }) {
  const client = useQueryClient();
  useEffect(() => {
    const unfollow = follow(client);
    live.start(who);
    return () => {
      live.stop();
      unfollow();
      // The next person sees nothing of this one's.
      client.clear();
    };
  }, [client, who]);
  return (
    <Switch>
      <Route path="/device">
        <DevicePage />
      </Route>
      <Route>
        <Shell />
      </Route>
    </Switch>
  );
}
