// A first way to sign in, offered to who came by a link or an invitation without one.
import { useMutation, useQuery } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { type FormEvent, useState } from "react";
import { api, plain } from "../api/client.ts";
import { useMe } from "../api/me.ts";
import { asProblem } from "../api/problem.ts";
import { thisBrowser } from "../people/browser.ts";
import { Button } from "../ui/button.tsx";
import { Field, TextInput } from "../ui/field.tsx";
import { Note, ProblemNote } from "../ui/notes.tsx";
import { Frame } from "./frame.tsx";
import { addPasskey, isCancelled, passkeyPlace } from "./passkey.ts";
import { LEAST_CHARS } from "./password.ts";

export function KeysPage({ onDone }: { onDone: () => void }) {
  const me = useMe();
  const { data: methods } = useQuery({
    queryKey: ["sign-in", "methods"],
    queryFn: () => plain.get("/api/v1/login/methods"),
  });
  const [password, setPassword] = useState("");
  const passkey = useMutation({ mutationFn: () => addPasskey(thisBrowser()), onSuccess: onDone });
  const chosen = useMutation({
    mutationFn: () => api.put("/api/v1/me/password", { body: { password } }),
    onSuccess: onDone,
  });
  const place = passkeyPlace(methods?.passkeyDomain ?? window.location.hostname);
  const error = passkey.error ?? chosen.error;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    chosen.mutate();
  };
  return (
    <Frame title={`Welcome, ${me.name}`}>
      <p className="text-muted">
        The link that brought you here works once. Choose how you sign in from now on.
      </p>
      {place.usable ? (
        <Button
          look="primary"
          icon={KeyRound}
          className="h-10 w-full"
          busy={passkey.isPending}
          onClick={() => passkey.mutate()}
        >
          Make a passkey
        </Button>
      ) : (
        place.instead && (
          <Note>
            For a passkey, open this hub at{" "}
            <a className="underline" href={place.instead}>
              {new URL(place.instead).host}
            </a>{" "}
            and sign in there.
          </Note>
        )
      )}
      <form className="flex flex-col gap-3" onSubmit={submit}>
        <input type="hidden" autoComplete="username" value={me.name} readOnly />
        <Field label="Or a password" hint={`At least ${LEAST_CHARS} characters.`}>
          {(props) => (
            <TextInput
              {...props}
              className="h-9"
              type="password"
              autoComplete="new-password"
              minLength={LEAST_CHARS}
              required
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
          )}
        </Field>
        {error && !isCancelled(error) && <ProblemNote problem={asProblem(error)} />}
        <Button type="submit" className="h-10 w-full" busy={chosen.isPending}>
          Set this password
        </Button>
      </form>
      <Button look="quiet" className="self-start" onClick={onDone}>
        Later
      </Button>
    </Frame>
  );
}
