// `/enter#...`: signing in by the link of `writ hub sign-in-link`. A click uses it up, so that a
// preview of the address, made by some program, does not.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { useLocation } from "wouter";
import { plain } from "../api/client.ts";
import { useSession } from "../api/me.ts";
import { asProblem } from "../api/problem.ts";
import { session } from "../api/session.ts";
import { Button } from "../ui/button.tsx";
import { ProblemNote } from "../ui/notes.tsx";
import { Frame } from "./frame.tsx";
import { KeysPage } from "./keys_page.tsx";

export function EnterPage() {
  const [, navigate] = useLocation();
  const [token] = useState(() => window.location.hash.slice(1));
  const { me } = useSession();
  const enter = useMutation({
    mutationFn: async () => {
      await plain.post("/api/v1/login/link", { body: { token } });
      await session.refresh();
      // The link is of no use any more, and of no use in the history.
      history.replaceState(null, "", window.location.pathname);
    },
  });
  if (enter.isSuccess && me) return <KeysPage onDone={() => navigate("/", { replace: true })} />;
  return (
    <Frame title="Sign in by link">
      <p className="text-muted">This link works once. It signs you in on this browser.</p>
      {enter.error && <ProblemNote problem={asProblem(enter.error)} />}
      <Button
        look="primary"
        className="h-10 w-full"
        busy={enter.isPending}
        disabled={token === ""}
        onClick={() => enter.mutate()}
      >
        Sign in
      </Button>
      {enter.error && (
        <p className="text-muted">
          It may be used up, or older than an hour. On the hub's machine,{" "}
          <code>writ hub sign-in-link</code> makes another.
        </p>
      )}
    </Frame>
  );
}
