// What this person wants to be told, family by family: here, by mail, or not at all.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "../../api/client.ts";
import type { ChoiceView, PreferencesView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { Select } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, Note, Waiting } from "../../ui/notes.tsx";
import { toast, toastProblem } from "../../ui/toasts.tsx";

const KEY = ["notifications", "preferences"] as const;
type Mail = ChoiceView["email"];
const MAILS: ReadonlyArray<readonly [Mail, string]> = [
  ["off", "no mail"],
  ["immediate", "mail at once"],
  ["digest", "mail once a day"],
];

export function Preferences() {
  const client = useQueryClient();
  const preferences = useQuery({
    queryKey: KEY,
    queryFn: ({ signal }) => api.get("/api/v1/me/notification-preferences", { signal }),
  });
  const choose = useMutation({
    mutationFn: ({ family, ...choice }: { family: string; inApp?: boolean; email?: Mail }) =>
      api.patch("/api/v1/me/notification-preferences", {
        body: { families: { [family]: choice } },
      }),
    // Shown at once, as any switch is; what the hub refuses goes back.
    onMutate: ({ family, ...choice }) =>
      client.setQueryData<PreferencesView>(KEY, (before) => {
        const own = before?.families[family];
        if (!before || !own) return before;
        return { ...before, families: { ...before.families, [family]: { ...own, ...choice } } };
      }),
    onSuccess: (kept) => {
      client.setQueryData(KEY, kept);
      toast("Kept");
    },
    onError: (error) => {
      toastProblem(error);
      void client.invalidateQueries({ queryKey: KEY });
    },
  });
  const seen = preferences.data;
  if (!seen)
    return preferences.isPending ? (
      <Waiting lines={6} />
    ) : (
      <Failed error={preferences.error} onRetry={() => void preferences.refetch()} />
    );
  const mailed = seen.hubSendsMail && seen.email !== null;
  return (
    <div className="flex flex-col gap-4">
      <Where seen={seen} />
      <Section title="You are told when" flush>
        <ul>
          {Object.entries(seen.families).map(([family, choice]) => (
            <li
              key={family}
              className="flex flex-wrap items-center gap-x-6 gap-y-2 border-line px-4 py-2.5 not-first:border-t"
            >
              <span className="min-w-0 flex-1 basis-64">
                {choice.description}
                <span className="block text-xs text-muted">{family}</span>
              </span>
              <label className="inline-flex items-center gap-2">
                <input
                  type="checkbox"
                  aria-label={`${family}: in this inbox`}
                  checked={choice.inApp}
                  onChange={(event) => choose.mutate({ family, inApp: event.target.checked })}
                  className="size-4 accent-accent"
                />
                here
              </label>
              {mailed && (
                <Select
                  aria-label={`${family}: by mail`}
                  value={choice.email}
                  onChange={(event) => choose.mutate({ family, email: event.target.value as Mail })}
                >
                  {MAILS.map(([mail, word]) => (
                    <option key={mail} value={mail}>
                      {word}
                    </option>
                  ))}
                </Select>
              )}
            </li>
          ))}
        </ul>
      </Section>
    </div>
  );
}

function Where({ seen }: { seen: PreferencesView }) {
  if (!seen.hubSendsMail)
    return (
      <Note>
        This hub has no mail server (<code className="text-xs">smtp_url</code>), so you are told
        here only.
      </Note>
    );
  if (seen.email === null)
    return (
      <Note tone="wait">
        The hub knows no mail address of yours, so you are told here only. An admin can add it.
      </Note>
    );
  return <p className="text-muted">{`Mail goes to ${inert(seen.email)}.`}</p>;
}
