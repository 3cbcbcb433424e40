// Who this hub is: its keys by their DIDs, the root this browser trusts, and whether it works.
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { api, hubUrl } from "../../api/client.ts";
import { asProblem } from "../../api/problem.ts";
import { Fact, Facts, Section } from "../../app/page.tsx";
import { trustedRoot } from "../../proof/trusted_root.ts";
import { State } from "../../ui/badge.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, Note, Waiting } from "../../ui/notes.tsx";

export function AboutHub() {
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ["settings", "hub"],
    queryFn: async ({ signal }) => {
      const [names, described] = await Promise.all([
        api.get("/.well-known/writ.json", { signal }),
        api.get("/openapi.json", { signal }),
      ]);
      const info = described.info as { version?: unknown } | undefined;
      const { shownInstead } = trustedRoot(hubUrl("").href, names.root);
      return { ...names, version: String(info?.version ?? "unknown"), shownInstead };
    },
  });
  return (
    <Section title="This hub">
      {isPending && <Waiting lines={5} />}
      {error && !data && <Failed error={error} onRetry={() => void refetch()} />}
      {data && (
        <div className="flex flex-col gap-4">
          {data.shownInstead !== null && (
            <Note tone="bad">
              This is not the root that the hub first showed to this browser, and nothing it proves
              is believed here. If nobody has changed the root, somebody has broken in.
            </Note>
          )}
          <Facts>
            <Fact name="Version">{inert(data.version)}</Fact>
            <Fact name="Address">
              <CopyField value={hubUrl("").href} label="address" />
            </Fact>
            <Fact name="Speaks">{inert(data.versions.join(", "))}</Fact>
            <Fact name="Root">
              <CopyField value={data.root} label="root" short />
            </Fact>
            <Fact name="Hub's key">
              <CopyField value={data.hub} label="hub's key" short />
            </Fact>
            <Fact name="Log's key">
              <CopyField value={data.log} label="log's key" short />
            </Fact>
            <Fact name="Tokens">
              <a
                className="underline underline-offset-2"
                href={hubUrl("/.well-known/jwks.json").href}
              >
                public keys
              </a>{" "}
              <span className="text-muted">for services that are shown its tokens</span>
            </Fact>
          </Facts>
          <Health />
          <p className="text-muted">
            The root signs for the others and should lie elsewhere: compare it with what{" "}
            <code className="text-xs">writ hub init</code> said when the hub was made. What the hub
            has done is proved under{" "}
            <Link to="/audit" className="underline underline-offset-2">
              Audit
            </Link>
            .
          </p>
        </div>
      )}
    </Section>
  );
}

function Health() {
  const { data, error } = useQuery({
    queryKey: ["settings", "health"],
    refetchInterval: 15_000,
    retry: false,
    queryFn: ({ signal }) => api.get("/readyz", { signal }),
  });
  if (error)
    return (
      <Note tone="bad">
        The hub says that it cannot do its work now ({asProblem(error).status}): look at{" "}
        <code className="text-xs">/readyz</code> and at its log.
      </Note>
    );
  return (
    <ul aria-label="What it depends on" className="flex min-h-6 flex-wrap gap-x-5 gap-y-1">
      {Object.entries(data?.checks ?? {}).map(([name, said]) => (
        <li key={name}>
          <State tone={said === "ok" ? "good" : "wait"}>{`${inert(name)}: ${inert(said)}`}</State>
        </li>
      ))}
    </ul>
  );
}
