// The screen of trust: the graph, the same as a list, and who can make an agent do something.
import { Plus } from "lucide-react";
import { useMemo, useState } from "react";
import { Route, Switch } from "wouter";
import { useCan } from "../../api/me.ts";
import { useAddress } from "../../app/address.ts";
import { NotFound } from "../../app/not_found.tsx";
import { Page } from "../../app/page.tsx";
import { Button } from "../../ui/button.tsx";
import { Drawer } from "../../ui/dialog.tsx";
import { LinkTabs } from "../../ui/link_tabs.tsx";
import { useWidth, WIDTHS } from "../../ui/media.ts";
import { Failed, Note, Waiting } from "../../ui/notes.tsx";
import { type Facts, nameOf } from "./authority.ts";
import { ChainView } from "./chain.tsx";
import { GraphPart } from "./graph_part.tsx";
import { LendDialog } from "./lend.tsx";
import { ListPart } from "./list.tsx";
import { useFacts } from "./queries.ts";
import { WhoCan } from "./who_can.tsx";

export default function Trust() {
  return (
    <Switch>
      <Route path="/trust">
        <Frame part="graph" />
      </Route>
      <Route path="/trust/list">
        <Frame part="list" />
      </Route>
      <Route path="/trust/who">
        <Frame part="who" />
      </Route>
      <Route component={NotFound} />
    </Switch>
  );
}

function Frame({ part }: { part: "graph" | "list" | "who" }) {
  const { facts, error, retry } = useFacts();
  const { params, change } = useAddress();
  const [lending, setLending] = useState(false);
  const mayLend = useCan("delegations.write");
  // On a phone the graph is a list: boxes that small are for nobody.
  const roomy = useWidth() >= WIDTHS.md;
  const link = params.get("link");
  const open = (id: string | null) => change({ link: id });
  return (
    <Page
      title="Trust graph"
      about="Who may make agents act: every chain begins at the root, and each agent checks it for itself."
      actions={
        mayLend && (
          <Button icon={Plus} disabled={!facts} onClick={() => setLending(true)}>
            Delegate
          </Button>
        )
      }
    >
      <LinkTabs
        label="Ways to look at trust"
        tabs={[
          { to: "/trust", label: roomy ? "Graph" : "Delegations" },
          ...(roomy ? [{ to: "/trust/list", label: "List" }] : []),
          { to: "/trust/who", label: "Who can…" },
        ]}
      />
      <div className="flex flex-col gap-4 pt-4">
        {error !== null && !facts && <Failed error={error} onRetry={retry} />}
        {error === null && !facts && <Waiting lines={9} />}
        {facts && !facts.allDelegations && (
          <Note tone="wait">
            {`There are more delegations than are shown: these are the newest ${facts.delegations.length.toLocaleString()}.`}
          </Note>
        )}
        {facts && part === "graph" && roomy && <GraphPart facts={facts} onOpen={open} />}
        {facts && (part === "list" || (part === "graph" && !roomy)) && (
          <ListPart facts={facts} chosen={link} onOpen={open} />
        )}
        {facts && part === "who" && <WhoCan facts={facts} onOpen={open} />}
      </div>
      {facts && <LinkDrawer facts={facts} id={link} onClose={() => open(null)} />}
      {facts && lending && (
        <LendDialog
          facts={facts}
          onClose={() => setLending(false)}
          onDone={(id) => {
            setLending(false);
            open(id);
          }}
        />
      )}
    </Page>
  );
}

function LinkDrawer({
  facts,
  id,
  onClose,
}: {
  facts: Facts;
  id: string | null;
  onClose: () => void;
}) {
  const last = useMemo(() => facts.delegations.find((one) => one.id === id), [facts, id]);
  return (
    <Drawer
      open={id !== null}
      onOpenChange={(shown) => {
        if (!shown) onClose();
      }}
      title={last ? `What ${nameOf(last.subject, facts)} was lent` : "No such delegation"}
      description={
        last
          ? "The whole path from the root. Nothing below a link is wider than the link."
          : "It was never held here, or lies in a realm you do not see."
      }
    >
      <div className="pb-4">{last && <ChainView last={last} facts={facts} />}</div>
    </Drawer>
  );
}
