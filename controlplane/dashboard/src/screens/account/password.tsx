// One's password: a first one, or another one; every other session ends with it.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api } from "../../api/client.ts";
import { useMe } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import { Section } from "../../app/page.tsx";
import { LEAST_CHARS } from "../../sign-in/password.ts";
import { Button } from "../../ui/button.tsx";
import { Field, TextInput } from "../../ui/field.tsx";
import { ProblemNote } from "../../ui/notes.tsx";
import { toast } from "../../ui/toasts.tsx";

export function Password() {
  const me = useMe();
  const client = useQueryClient();
  const [current, setCurrent] = useState("");
  const [password, setPassword] = useState("");
  const set = useMutation({
    mutationFn: () =>
      api.put("/api/v1/me/password", {
        body: { password, ...(current === "" ? {} : { current }) },
      }),
    onSuccess: () => {
      setCurrent("");
      setPassword("");
      toast("The password is set", "Your other sessions have ended.");
      return client.invalidateQueries({ queryKey: ["me", "sessions"] });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!set.isPending) set.mutate();
  };
  return (
    <Section title="Password">
      <form className="flex max-w-md flex-col gap-3" onSubmit={submit}>
        <input type="hidden" autoComplete="username" value={me.name} readOnly />
        <Field label="Current password" hint="Empty if you have none yet.">
          {(props) => (
            <TextInput
              {...props}
              type="password"
              autoComplete="current-password"
              maxLength={256}
              value={current}
              onChange={(event) => setCurrent(event.target.value)}
            />
          )}
        </Field>
        <Field
          label="New password"
          hint={`At least ${LEAST_CHARS} characters. Every other session of yours ends.`}
        >
          {(props) => (
            <TextInput
              {...props}
              type="password"
              autoComplete="new-password"
              required
              minLength={LEAST_CHARS}
              maxLength={256}
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
          )}
        </Field>
        {set.error && <ProblemNote problem={asProblem(set.error)} />}
        <Button type="submit" className="self-start" busy={set.isPending}>
          Set the password
        </Button>
      </form>
    </Section>
  );
}
