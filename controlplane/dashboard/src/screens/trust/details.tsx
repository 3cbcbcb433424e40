// What is known of the node that is open: what it was lent, what it lends, where its orders can go.
import { ListTree, Undo2 } from "lucide-react";
import { useMemo, useState } from "react";
import { Link } from "wouter";
import type { DelegationView } from "../../api/schema.gen.ts";
import { Section } from "../../app/page.tsx";
import { Button, ButtonLink } from "../../ui/button.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { Field, TextInput } from "../../ui/field.tsx";
import { inert } from "../../ui/inert.ts";
import { Note } from "../../ui/notes.tsx";
import { actionWords, type Facts, nameOf, placeWords, type Standing } from "./authority.ts";
import { StandingBadge } from "./chain.tsx";
import type { Graph, GraphNode } from "./graph.ts";

const MOST_SHOWN = 50;

interface Props {
  node: GraphNode;
  graph: Graph;
  facts: Facts;
  standing: ReadonlyMap<string, Standing>;
  focused: boolean;
  onFocus: (id: string | null) => void;
  onOpen: (link: string) => void;
}

export function Details({ node, facts, standing, graph, focused, onFocus, onOpen }: Props) {
  const members = useMemo(() => new Set([node.id, ...node.members]), [node]);
  const lent = facts.delegations.filter((one) => members.has(one.subject));
  const lends = facts.delegations.filter((one) => members.has(one.issuer));
  const reached = useMemo(() => {
    const ids = new Set(
      graph.edges
        .filter((one) => one.kind === "reaches" && one.to === node.id)
        .flatMap((one) => one.links),
    );
    return facts.delegations.filter((one) => ids.has(one.id));
  }, [graph, facts, node]);
  const place = node.kind === "everyone" || node.kind === "realm";
  const agent = facts.agents.get(node.id);
  return (
    <div className="flex flex-col gap-4">
      <header className="flex flex-wrap items-center gap-x-3 gap-y-2">
        <h2 className="text-lg font-semibold">{inert(node.title)}</h2>
        {!place && node.kind !== "group" && (
          <CopyField value={node.id} label={node.id.startsWith("did:") ? "DID" : "id"} short />
        )}
        <span className="ml-auto flex flex-wrap gap-2">
          {agent && <ButtonLink to={`/fleet/${agent.did}`}>Open in Fleet</ButtonLink>}
          {agent && (
            <ButtonLink to={`/trust/who?agent=${encodeURIComponent(agent.name)}`}>
              Who can order it?
            </ButtonLink>
          )}
          {node.kind !== "group" && (
            <Button
              icon={focused ? Undo2 : ListTree}
              onClick={() => onFocus(focused ? null : node.id)}
            >
              {focused ? "Show everything" : "Only its paths"}
            </Button>
          )}
        </span>
      </header>
      {node.kind === "group" && <Members node={node} facts={facts} onFocus={onFocus} />}
      {node.kind === "root" && (
        <Note>
          Every chain begins here. Its key is needed to lend to a hub, to a log and to operators,
          and nowhere else: it can be kept on a machine that is off.
        </Note>
      )}
      {place && (
        <Links
          title={
            node.kind === "everyone" ? "Who reaches every agent" : "Who reaches this realm by name"
          }
          links={reached}
          who="subject"
          empty="Nobody."
          {...{ facts, standing, onOpen }}
        />
      )}
      {!place && node.kind !== "root" && (
        <Links
          title={node.kind === "group" ? "Lent to them" : "Lent to it"}
          links={lent}
          who="issuer"
          empty={agent ? "It orders nobody else." : "Nothing."}
          {...{ facts, standing, onOpen }}
        />
      )}
      {agent && reached.length > 0 && (
        <Links
          title="Who reaches it by name"
          links={reached}
          who="subject"
          empty=""
          {...{ facts, standing, onOpen }}
        />
      )}
      {lends.length > 0 && (
        <Links
          title={node.kind === "group" ? "Lent by them" : "Lent by it"}
          links={lends}
          who="subject"
          empty=""
          {...{ facts, standing, onOpen }}
        />
      )}
    </div>
  );
}

/** Delegations as a list of buttons, those in force first; each opens its path. */
function Links({
  title,
  links,
  who,
  empty,
  facts,
  standing,
  onOpen,
}: {
  title: string;
  links: readonly DelegationView[];
  who: "subject" | "issuer";
  empty: string;
  facts: Facts;
  standing: ReadonlyMap<string, Standing>;
  onOpen: (link: string) => void;
}) {
  const [all, setAll] = useState(false);
  const live = links.filter((one) => standing.get(one.id) === "in force");
  const over = links.filter((one) => standing.get(one.id) !== "in force");
  const sorted = [...live, ...over];
  const shown = all ? sorted : sorted.slice(0, MOST_SHOWN);
  return (
    <Section title={`${title} (${live.length})`} flush>
      {links.length === 0 && <p className="px-4 py-3 text-muted">{empty}</p>}
      <ul>
        {shown.map((one) => (
          <li key={one.id} className="border-line not-first:border-t">
            <button
              type="button"
              onClick={() => onOpen(one.id)}
              className="flex w-full flex-wrap items-center gap-x-3 gap-y-0.5 px-4 py-2 text-left hover:bg-hover"
            >
              <code className="text-xs font-medium">{actionWords(one.capabilities)}</code>
              <span className="text-muted">
                {[...new Set(one.capabilities.map((item) => placeWords(item, facts)))].join("; ")}
              </span>
              <span>
                <span className="text-muted">{who === "issuer" ? "by " : "to "}</span>
                {nameOf(one[who], facts)}
              </span>
              {one.conditions.some((text) => text !== "true") && (
                <span className="text-muted">with a condition</span>
              )}
              <span className="ml-auto">
                <StandingBadge standing={standing.get(one.id) ?? "cut off"} />
              </span>
            </button>
          </li>
        ))}
      </ul>
      {sorted.length > shown.length && (
        <div className="border-t border-line p-2">
          <Button size="sm" onClick={() => setAll(true)}>
            {`Show all ${sorted.length}`}
          </Button>
        </div>
      )}
    </Section>
  );
}

function Members({
  node,
  facts,
  onFocus,
}: {
  node: GraphNode;
  facts: Facts;
  onFocus: (id: string) => void;
}) {
  const [typed, setTyped] = useState("");
  const wanted = typed.trim().toLowerCase();
  const named = node.members.map((id) => ({
    id,
    name: id.startsWith("realm:") ? inert(id.slice(6)) : nameOf(id, facts),
  }));
  const found = named.filter(
    ({ id, name }) => wanted === "" || name.toLowerCase().includes(wanted) || id.includes(wanted),
  );
  return (
    <Section title={`${node.members.length} that were lent the same`}>
      <Field label="Find one">
        {(props) => (
          <TextInput
            {...props}
            type="search"
            className="max-w-sm"
            value={typed}
            spellCheck={false}
            onChange={(event) => setTyped(event.target.value)}
          />
        )}
      </Field>
      <ul className="mt-3 flex flex-wrap gap-2">
        {found.slice(0, MOST_SHOWN).map(({ id, name }) => (
          <li key={id}>
            <Button size="sm" onClick={() => onFocus(id)}>
              {name}
            </Button>
          </li>
        ))}
      </ul>
      {found.length === 0 && <p className="mt-3 text-muted">Nobody is called that.</p>}
      {found.length > MOST_SHOWN && (
        <p className="mt-3 text-muted">
          {`and ${found.length - MOST_SHOWN} more: type a part of the name, or use `}
          <Link to="/trust/list" className="text-accent-ink underline underline-offset-2">
            the list
          </Link>
          .
        </p>
      )}
    </Section>
  );
}
