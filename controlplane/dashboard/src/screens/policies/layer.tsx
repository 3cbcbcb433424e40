// The policy of a realm or of the whole fleet: it narrows what agents' own policies allow.
import { useCan } from "../../api/me.ts";
import { Page } from "../../app/page.tsx";
import { inert } from "../../ui/inert.ts";
import { Failed, Note, Waiting } from "../../ui/notes.tsx";
import { RuleList } from "./agent.tsx";
import { Change, type Target } from "./change.tsx";
import { useLayers } from "./queries.ts";

export function LayerPolicy({ layer }: { layer: string }) {
  const layers = useLayers();
  const may = useCan("policies.write");
  const [kind, realm = ""] = layer.split(":");
  const target: Target = kind === "realm" ? { realm } : { fleet: true };
  const policy = layers.data?.find((one) => one.layer === layer) ?? null;
  const title = kind === "realm" ? `Policy of realm ${inert(realm)}` : "Policy of every agent";
  return (
    <Page title={title} back={{ to: "/policies", label: "Policies" }}>
      {layers.isPending ? (
        <Waiting lines={6} />
      ) : layers.isError ? (
        <Failed error={layers.error} onRetry={() => void layers.refetch()} />
      ) : (
        <div className="flex flex-col gap-4">
          <Note>
            What is allowed here still has to be allowed by the agent's own policy. What is denied
            here is denied. Where no layer is set, the agent's own policy decides alone.
          </Note>
          <RuleList policy={policy} />
          {may && <Change key={policy?.version ?? 0} target={target} before={policy} />}
        </div>
      )}
    </Page>
  );
}
