// The whole record, proved in this browser: every entry hashed, the tree compared with what is signed.
import { CircleCheck, CircleX, ShieldCheck } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { hubUrl } from "../../api/client.ts";
import { asProblem } from "../../api/problem.ts";
import { Refused } from "../../proof/json.ts";
import { forgetRecord, LogFork } from "../../proof/seen_record.ts";
import { BadLeaf, type Progress, type RecordProof } from "../../proof/whole_record.ts";
import { Button } from "../../ui/button.tsx";
import { JsonView } from "../../ui/code.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { inert } from "../../ui/inert.ts";
import { proveAll } from "./queries.ts";

type Outcome =
  | { kind: "running"; progress: Progress | null }
  | { kind: "holds"; proof: RecordProof; seconds: number }
  | { kind: "fails"; error: unknown };

export function VerifyRecord() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button icon={ShieldCheck} onClick={() => setOpen(true)}>
        Verify in this browser
      </Button>
      <Dialog
        open={open}
        onOpenChange={setOpen}
        title="The record, verified here"
        description="This browser fetches every entry you may read, hashes it, grows the tree and compares it with the checkpoint that the root's log has signed. No answer of the hub is believed."
      >
        {open && <Run />}
      </Dialog>
    </>
  );
}

function Run() {
  const [outcome, setOutcome] = useState<Outcome>({ kind: "running", progress: null });
  const began = useRef(performance.now());
  useEffect(() => {
    const ended = new AbortController();
    proveAll((progress) => setOutcome({ kind: "running", progress }), ended.signal)
      .then((proof) => {
        const seconds = (performance.now() - began.current) / 1000;
        if (!ended.signal.aborted) setOutcome({ kind: "holds", proof, seconds });
      })
      .catch((error: unknown) => {
        if (!ended.signal.aborted) setOutcome({ kind: "fails", error });
      });
    return () => ended.abort();
  }, []);
  return <div className="min-h-24 pb-4">{shown(outcome)}</div>;
}

/** What can be done about a fork: the proof taken away; and, once it is understood, a new start. */
function Fork({ fork }: { fork: LogFork }) {
  const [forgotten, setForgotten] = useState(false);
  const { seenBefore, shownNow } = fork;
  return (
    <div className="mt-2 flex flex-col gap-2 text-ink">
      <p>
        The log has signed both.{" "}
        {fork.recorded
          ? "The hub has put the proof on its record. Keep it yourself too: whoever changed the record may not want it there."
          : "The hub did not take the proof: keep it."}{" "}
        A hub put back from a backup looks the same.
      </p>
      <JsonView value={{ seenBefore, shownNow }} label="proof of the fork" />
      <Button
        size="sm"
        className="self-start"
        disabled={forgotten}
        onClick={() => {
          forgetRecord(hubUrl("").href);
          setForgotten(true);
        }}
      >
        {forgotten ? "Forgotten: look again" : "I know why: forget what was seen"}
      </Button>
    </div>
  );
}

function shown(outcome: Outcome) {
  if (outcome.kind === "running") {
    const { read = 0, size = 0 } = outcome.progress ?? {};
    return (
      <div className="flex flex-col gap-2">
        <progress
          aria-label="Entries checked"
          className="h-2 w-full accent-accent"
          max={Math.max(size, 1)}
          value={read}
        />
        <p className="tabular text-muted">{`${read.toLocaleString()} of ${size.toLocaleString()} entries`}</p>
      </div>
    );
  }
  if (outcome.kind === "holds") {
    const { size, shown: seen, personal } = outcome.proof;
    return (
      <div role="status" className="flex gap-2 rounded-md bg-good-ground px-3 py-2 text-good">
        <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0" />
        <div>
          <p className="font-medium">{`The record holds: ${size.toLocaleString()} entries`}</p>
          <p className="text-xs">
            {seen === size
              ? "Each was read and hashed"
              : `${seen.toLocaleString()} were read and hashed; of the others, of other realms, only hashes are shown`}
            {personal > 0 && `; ${personal.toLocaleString()} personal values are those recorded`}
            {`. ${outcome.seconds.toFixed(1)} s.`}
          </p>
        </div>
      </div>
    );
  }
  return <NotVerified error={outcome.error} />;
}

/** Why something of the record does not hold, as loudly as it is; a fork with its proof. */
export function NotVerified({ error }: { error: unknown }) {
  const code = error instanceof Refused ? error.code : asProblem(error).code;
  return (
    <div role="alert" className="flex gap-2 rounded-md bg-bad-ground px-3 py-2 text-bad">
      <CircleX aria-hidden className="mt-0.5 size-4 shrink-0" />
      <div>
        <p className="font-medium">
          {error instanceof BadLeaf
            ? `The record does not hold, from entry ${error.index} on`
            : error instanceof LogFork
              ? "The record has a fork"
              : "The record could not be verified"}
        </p>
        <p className="text-xs">
          <code>{code}</code> {inert(error instanceof Error ? error.message : String(error))}
        </p>
        {error instanceof LogFork && <Fork fork={error} />}
      </div>
    </div>
  );
}
