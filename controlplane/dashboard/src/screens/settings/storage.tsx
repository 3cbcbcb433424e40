// Where files are kept: shown, tried out for real, and switched only after a green test.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { CircleCheck, CircleX } from "lucide-react";
import { useState } from "react";
import { api } from "../../api/client.ts";
import { useCan } from "../../api/me.ts";
import { asProblem } from "../../api/problem.ts";
import type { StorageSettingsView, StorageTestView } from "../../api/schema.gen.ts";
import { Fact, Facts, Section } from "../../app/page.tsx";
import { Who } from "../../people/who.tsx";
import { Button } from "../../ui/button.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, Note, ProblemNote, Waiting } from "../../ui/notes.tsx";
import { Ago } from "../../ui/time.tsx";
import { toast } from "../../ui/toasts.tsx";
import { bodyOf, type Draft, draftOf, keepsCredentials } from "./place.ts";
import { PlaceForm } from "./place_form.tsx";

export function Storage() {
  const may = useCan("settings.write");
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ["settings", "storage"],
    queryFn: ({ signal }) => api.get("/api/v1/settings/storage", { signal }),
  });
  return (
    <Section title="Where files are kept">
      {isPending && <Waiting lines={5} />}
      {error && !data && <Failed error={error} onRetry={() => void refetch()} />}
      {data && (
        <div className="flex flex-col gap-5">
          <InUse storage={data} />
          {may ? (
            <Change key={data.etag} now={data} />
          ) : (
            <p className="text-muted">Only an owner of the hub changes this.</p>
          )}
        </div>
      )}
    </Section>
  );
}

function InUse({ storage }: { storage: StorageSettingsView }) {
  const { earlier } = storage;
  return (
    <Facts>
      <Fact name="In use">
        <code className="text-xs break-all">{inert(storage.url)}</code>
      </Fact>
      {storage.endpoint && (
        <Fact name="Server">
          <code className="text-xs break-all">{inert(storage.endpoint)}</code>
        </Fact>
      )}
      {storage.url.startsWith("s3://") && (
        <Fact name="Access key">
          {storage.hasCredentials ? "kept, sealed; never shown" : "that of the hub's machine"}
        </Fact>
      )}
      <Fact name="Chosen">
        {storage.updatedAt === null ? (
          "when the hub was started"
        ) : (
          <>
            <Ago at={storage.updatedAt} /> by <Who id={storage.updatedBy} />
          </>
        )}
      </Fact>
      {earlier.length > 0 && (
        <Fact name="Earlier">
          <ul>
            {earlier.map((url) => (
              <li key={url}>
                <code className="text-xs break-all">{inert(url)}</code>
              </li>
            ))}
          </ul>
          <span className="text-muted">Files that lie there stay, and are still found.</span>
        </Fact>
      )}
      {storage.conditionalWrites === false && (
        <Fact name="Beware">
          <Note tone="wait">
            This server heeds no conditions on writes: two hubs on it could overwrite each other.
          </Note>
        </Fact>
      )}
    </Facts>
  );
}

function Change({ now }: { now: StorageSettingsView }) {
  const client = useQueryClient();
  const [draft, setDraft] = useState<Draft>(() => draftOf(now));
  const [asked, setAsked] = useState(false);
  const keeps = keepsCredentials(draft, now);
  // Kept credentials stay with their server; with another one they are not there to be kept.
  const wanted: Draft = draft.login === "keep" && !keeps ? { ...draft, login: "new" } : draft;
  const body = bodyOf(wanted);
  const text = JSON.stringify(body);
  const test = useMutation({
    mutationFn: async (tried: { text: string }) => ({
      text: tried.text,
      result: await api.post("/api/v1/settings/storage/test", { body: JSON.parse(tried.text) }),
    }),
  });
  const change = useMutation({
    mutationFn: () => api.patch("/api/v1/settings/storage", { body, ifMatch: now.etag }),
    onSuccess: (changed) => {
      toast("New files are kept there now", inert(changed.url));
      client.setQueryData(["settings", "storage"], changed);
      void client.invalidateQueries({ queryKey: ["settings"] });
    },
  });
  const tested = test.data?.text === text ? test.data.result : null;
  const problem = test.error && test.variables?.text === text ? asProblem(test.error) : null;
  return (
    <form
      className="flex flex-col gap-4 border-t border-line pt-4"
      onSubmit={(event) => {
        event.preventDefault();
        test.mutate({ text });
      }}
    >
      <h3 className="font-semibold">Keep new files elsewhere</h3>
      <PlaceForm draft={wanted} keeps={keeps} onChange={setDraft} />
      <div role="status" className="min-h-10">
        {test.isPending ? (
          <p className="py-2 text-muted">Writing, reading and removing a file there…</p>
        ) : (
          tested && <TestResult tested={tested} />
        )}
      </div>
      {problem && <ProblemNote problem={problem} />}
      <div className="flex flex-wrap gap-2">
        <Button type="submit" busy={test.isPending}>
          Try it out
        </Button>
        <Button look="primary" disabled={tested?.ok !== true} onClick={() => setAsked(true)}>
          Switch to it
        </Button>
        {tested?.ok !== true && (
          <p className="basis-full text-xs text-faint">
            It can be switched to once it has been tried out, just as it stands above.
          </p>
        )}
      </div>
      <Confirm
        open={asked}
        onOpenChange={setAsked}
        title="Keep new files there?"
        verb="Switch"
        busy={change.isPending}
        problem={change.error ? asProblem(change.error) : null}
        onConfirm={() => change.mutate()}
      >
        <p>
          From now on new files go to{" "}
          <code className="text-xs break-all">{inert(placeName(body))}</code>. Those that are there
          already stay where they are and are still found.
        </p>
      </Confirm>
    </form>
  );
}

const placeName = (body: { url?: string | null | undefined }) =>
  body.url ?? "the store that the hub was started with";

function TestResult({ tested }: { tested: StorageTestView }) {
  if (!tested.ok)
    return (
      <div className="flex gap-2 rounded-md bg-bad-ground px-3 py-2 text-bad">
        <CircleX aria-hidden className="mt-0.5 size-4 shrink-0" />
        <div className="min-w-0 break-words">
          <p className="font-medium">That does not work</p>
          <p>{inert(tested.detail ?? "The store did not say why.")}</p>
          <p className="font-mono text-2xs">{inert(tested.code ?? "")}</p>
        </div>
      </div>
    );
  return (
    <div className="flex gap-2 rounded-md bg-good-ground px-3 py-2 text-good">
      <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0" />
      <div>
        <p className="font-medium">{`It works: written, read and removed in ${tested.seconds.toFixed(1)} s`}</p>
        {tested.conditionalWrites === false && (
          <p>It heeds no conditions on writes: keep to one hub process with it.</p>
        )}
      </div>
    </div>
  );
}
