// One entry: who did what, how that is known, and that it lies in the signed record.
import { CircleCheck } from "lucide-react";
import type { LeafView } from "../../api/schema.gen.ts";
import { Fact, Facts } from "../../app/page.tsx";
import { Who } from "../../people/who.tsx";
import { Badge, type Tone } from "../../ui/badge.tsx";
import { JsonView } from "../../ui/code.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { Drawer } from "../../ui/dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { NotVerified } from "../../ui/not_verified.tsx";
import { fullTime } from "../../ui/time.tsx";
import { useInclusion } from "./queries.ts";

const ASSURANCE: Record<string, { tone: Tone; says: string }> = {
  enforced: { tone: "good", says: "proved: a signature, or a right that the hub checked" },
  attributed: { tone: "wait", says: "on the word of somebody else" },
  unknown: { tone: "idle", says: "nobody said how it is known" },
};

export function Assurance({ value }: { value: string }) {
  return <Badge tone={ASSURANCE[value]?.tone ?? "idle"}>{inert(value)}</Badge>;
}

export function EntryDrawer({
  entry,
  onClose,
}: {
  entry: LeafView | undefined;
  onClose: () => void;
}) {
  return (
    <Drawer
      open={entry !== undefined}
      onOpenChange={(open) => {
        if (!open) onClose();
      }}
      title={entry ? `Entry ${entry.index}` : "Entry"}
      description={entry ? inert(entry.kind) : ""}
      wide
    >
      {entry && <Details entry={entry} />}
    </Drawer>
  );
}

function Details({ entry }: { entry: LeafView }) {
  const personal = Object.entries(entry.personal);
  return (
    <div className="flex flex-col gap-4 pb-4">
      <Inclusion entry={entry} />
      <Facts>
        <Fact name="When">{fullTime(entry.at)}</Fact>
        <Fact name="Who">
          <Who id={entry.actor} />
        </Fact>
        <Fact name="How known">
          <Assurance value={entry.assurance} />
          <span className="ml-2 text-muted">{ASSURANCE[entry.assurance]?.says}</span>
        </Fact>
        <Fact name="What it is about">
          <CopyField value={inert(entry.subject)} label="subject" />
        </Fact>
        <Fact name="Realms">
          {entry.realms.length > 0 ? inert(entry.realms.join(", ")) : "the hub as a whole"}
        </Fact>
        {personal.map(([field, value]) => (
          <Fact key={field} name={inert(field)}>
            {value === null ? (
              <span className="text-faint">erased; its salted hash stays</span>
            ) : (
              inert(typeof value === "string" ? value : JSON.stringify(value))
            )}
          </Fact>
        ))}
        <Fact name="Leaf hash">
          <CopyField value={entry.hash} label="leaf hash" short />
        </Fact>
      </Facts>
      <JsonView value={entry.data} label="facts of the entry" />
    </div>
  );
}

function Inclusion({ entry }: { entry: LeafView }) {
  const inclusion = useInclusion(entry);
  if (inclusion.isPending)
    return (
      <p role="status" className="text-muted">
        Checking that it is in the signed record…
      </p>
    );
  if (inclusion.isError) return <NotVerified error={inclusion.error} />;
  return (
    <p role="status" className="flex gap-2 rounded-md bg-good-ground px-3 py-2 text-good">
      <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0" />
      <span>
        <span className="font-medium">Verified by this browser:</span>{" "}
        {`entry ${inclusion.data.index} of the ${inclusion.data.size} that the log has signed`}
      </span>
    </p>
  );
}
