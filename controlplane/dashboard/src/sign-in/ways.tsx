// The ways to prove who one is: passkey, name and password, a provider. The same for signing in and
// for signing in again.
import { useQuery } from "@tanstack/react-query";
import { KeyRound } from "lucide-react";
import { type FormEvent, useState } from "react";
import { hubUrl, plain } from "../api/client.ts";
import { asProblem, type Problem } from "../api/problem.ts";
import { Button, buttonClasses } from "../ui/button.tsx";
import { Field, TextInput } from "../ui/field.tsx";
import { Note, ProblemNote } from "../ui/notes.tsx";
import { isCancelled, passkeyPlace, signInWithPasskey } from "./passkey.ts";

interface Props {
  /** Who signs in again; a name is asked for without. */
  name?: string;
  /** Providers lead away from the page, so they are left out where something typed would be lost. */
  withProviders?: boolean;
  onDone: () => Promise<void> | void;
}

export function SignInWays({ name, withProviders = true, onDone }: Props) {
  const { data: methods } = useQuery({
    queryKey: ["sign-in", "methods"],
    queryFn: () => plain.get("/api/v1/login/methods"),
  });
  const [typedName, setTypedName] = useState(name ?? "");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState<"passkey" | "password" | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const attempt = async (how: "passkey" | "password", prove: () => Promise<unknown>) => {
    setBusy(how);
    setProblem(null);
    try {
      await prove();
      await onDone();
    } catch (error) {
      if (!isCancelled(error)) setProblem(asProblem(error));
    } finally {
      setBusy(null);
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void attempt("password", () =>
      plain.post("/api/v1/login", { body: { name: typedName.trim(), password, bearer: false } }),
    );
  };
  const place = passkeyPlace(methods?.passkeyDomain ?? window.location.hostname);
  return (
    <div className="flex flex-col gap-4">
      {place.usable && (
        <Button
          look="primary"
          icon={KeyRound}
          className="h-10 w-full"
          busy={busy === "passkey"}
          onClick={() => void attempt("passkey", signInWithPasskey)}
        >
          Use a passkey
        </Button>
      )}
      {place.instead && (
        <Note>
          Passkeys work at{" "}
          <a className="underline" href={place.instead}>
            {new URL(place.instead).host}
          </a>
          , not at an address of numbers.
        </Note>
      )}
      {withProviders && methods && methods.providers.length > 0 && (
        <div className="flex flex-col gap-2">
          {methods.providers.map((one) => (
            <a key={one.name} href={hubUrl(one.path).href} className={`${buttonClasses()} h-10`}>
              Continue with {one.title}
            </a>
          ))}
        </div>
      )}
      <div className="flex items-center gap-3 text-xs text-faint">
        <span aria-hidden className="h-px flex-1 bg-line" />
        or with a password
        <span aria-hidden className="h-px flex-1 bg-line" />
      </div>
      <form className="flex flex-col gap-3" onSubmit={submit}>
        {name === undefined ? (
          <Field label="Name">
            {(props) => (
              <TextInput
                {...props}
                className="h-9"
                autoComplete="username"
                autoCapitalize="none"
                spellCheck={false}
                required
                value={typedName}
                onChange={(event) => setTypedName(event.target.value)}
              />
            )}
          </Field>
        ) : (
          <input type="hidden" autoComplete="username" value={name} readOnly />
        )}
        <Field label="Password">
          {(props) => (
            <TextInput
              {...props}
              className="h-9"
              type="password"
              autoComplete="current-password"
              required
              value={password}
              onChange={(event) => setPassword(event.target.value)}
            />
          )}
        </Field>
        {problem && <ProblemNote problem={problem} />}
        <Button type="submit" className="h-10 w-full" busy={busy === "password"}>
          Sign in
        </Button>
      </form>
    </div>
  );
}
