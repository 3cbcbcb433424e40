// `/invite#...`: coming in as somebody new, or taking what is offered as who one is already.
import { useMutation } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useLocation } from "wouter";
import { api, plain } from "../api/client.ts";
import { useSession } from "../api/me.ts";
import { asProblem } from "../api/problem.ts";
import { session } from "../api/session.ts";
import { Button } from "../ui/button.tsx";
import { Field, TextInput } from "../ui/field.tsx";
import { ProblemNote } from "../ui/notes.tsx";
import { Frame } from "./frame.tsx";
import { KeysPage } from "./keys_page.tsx";

export function InvitePage() {
  const [, navigate] = useLocation();
  const [token] = useState(() => window.location.hash.slice(1));
  const [name, setName] = useState("");
  const { me } = useSession();
  const home = () => navigate("/", { replace: true });
  const accept = useMutation({
    mutationFn: async () => {
      await plain.post("/api/v1/invitations/accept", {
        body: { token, name: name.trim(), bearer: false },
      });
      await session.refresh();
      history.replaceState(null, "", window.location.pathname);
    },
  });
  const join = useMutation({
    mutationFn: () => api.post("/api/v1/me/invitations", { body: { token } }),
    onSuccess: async () => {
      await session.refresh();
      home();
    },
  });
  if (accept.isSuccess && me) return <KeysPage onDone={home} />;
  if (me)
    return (
      <Frame title="An invitation">
        <p className="text-muted">
          You are signed in as <b className="font-semibold text-ink">{me.name}</b>. Take this
          invitation as yourself, or sign out to come in as somebody new.
        </p>
        {join.error && <ProblemNote problem={asProblem(join.error)} />}
        <Button
          look="primary"
          className="h-10 w-full"
          busy={join.isPending}
          onClick={() => join.mutate()}
        >
          Accept as {me.name}
        </Button>
      </Frame>
    );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    accept.mutate();
  };
  return (
    <Frame title="You are invited">
      <form className="flex flex-col gap-3" onSubmit={submit}>
        <Field label="Your name here" hint="Letters, digits, dots and dashes; others see it.">
          {(props) => (
            <TextInput
              {...props}
              className="h-9"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              required
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        {accept.error && <ProblemNote problem={asProblem(accept.error)} />}
        <Button
          type="submit"
          look="primary"
          className="h-10 w-full"
          busy={accept.isPending}
          disabled={token === ""}
        >
          Come in
        </Button>
      </form>
      <p className="text-xs text-faint">Next you choose a passkey or a password.</p>
    </Frame>
  );
}
