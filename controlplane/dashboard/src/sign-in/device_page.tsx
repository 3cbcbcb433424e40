// `/device`: letting in the machine that shows a code (`writ login --device`).
import { useMutation } from "@tanstack/react-query";
import { Laptop } from "lucide-react";
import { type FormEvent, useState } from "react";
import { api } from "../api/client.ts";
import { useMe } from "../api/me.ts";
import { asProblem } from "../api/problem.ts";
import { Button, ButtonLink } from "../ui/button.tsx";
import { Field, TextInput } from "../ui/field.tsx";
import { inert } from "../ui/inert.ts";
import { Note, ProblemNote } from "../ui/notes.tsx";
import { Ago } from "../ui/time.tsx";
import { Frame } from "./frame.tsx";

export function DevicePage() {
  const me = useMe();
  const [code, setCode] = useState("");
  const look = useMutation({
    mutationFn: () => api.get("/api/v1/me/device-logins/{code}", { path: { code: code.trim() } }),
  });
  const decide = useMutation({
    mutationFn: (approved: boolean) =>
      api.post("/api/v1/me/device-logins", { body: { userCode: code.trim(), approved } }),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    decide.reset();
    look.mutate();
  };
  const error = look.error ?? decide.error;
  if (decide.isSuccess)
    return (
      <Frame title={decide.variables ? "It is signed in" : "It stays out"}>
        <p className="text-muted">
          {decide.variables
            ? "You can go back to that machine. It is in the list of your sessions, where you can end it."
            : "That machine was told no."}
        </p>
        <ButtonLink to="/">Go to the dashboard</ButtonLink>
      </Frame>
    );
  return (
    <Frame title="Let a machine in">
      <form className="flex flex-col gap-3" onSubmit={submit}>
        <Field label="The code it shows">
          {(props) => (
            <TextInput
              {...props}
              className="h-11 text-center font-mono text-lg! tracking-[0.2em] uppercase"
              autoComplete="off"
              autoCapitalize="characters"
              spellCheck={false}
              maxLength={12}
              placeholder="XXXX-XXXX"
              required
              value={code}
              onChange={(event) => {
                setCode(event.target.value);
                look.reset();
              }}
            />
          )}
        </Field>
        {!look.data && (
          <Button type="submit" look="primary" className="h-10 w-full" busy={look.isPending}>
            Look it up
          </Button>
        )}
      </form>
      {error && <ProblemNote problem={asProblem(error)} />}
      {look.data && (
        <>
          <div className="flex gap-3 rounded-md border border-line bg-surface p-3">
            <Laptop aria-hidden className="mt-0.5 size-4 text-muted" />
            <div className="min-w-0">
              <p className="font-medium">{inert(look.data.client || "A machine")}</p>
              <p className="text-muted">
                from <code className="text-xs">{look.data.address}</code>, asked{" "}
                <Ago at={look.data.requestedAt} />
              </p>
            </div>
          </div>
          <Note tone="wait">
            It will be able to do everything {me.name} can. Go on only if you have just started this
            yourself.
          </Note>
          <div className="flex gap-2">
            <Button className="h-10 flex-1" onClick={() => decide.mutate(false)}>
              No
            </Button>
            <Button
              look="primary"
              className="h-10 flex-1"
              busy={decide.isPending}
              onClick={() => decide.mutate(true)}
            >
              Let it in
            </Button>
          </div>
        </>
      )}
    </Frame>
  );
}
