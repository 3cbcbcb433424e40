// Getting a key of one's own, and having an operator lend to it.
import { KeyRound } from "lucide-react";
import { asProblem } from "../../api/problem.ts";
import { useEnrolKey } from "../../people/own_keys.ts";
import { Button } from "../../ui/button.tsx";
import { CopyField } from "../../ui/copy.tsx";
import { Note, ProblemNote } from "../../ui/notes.tsx";

export function EnrolKey({ able }: { able: boolean }) {
  const enrol = useEnrolKey();
  if (!able)
    return (
      <Note tone="wait">
        This browser cannot sign here: it needs Ed25519 and a page over https (or localhost).
      </Note>
    );
  return (
    <div className="mt-2 flex flex-wrap items-center gap-3 rounded-md bg-sunken p-3">
      <p className="min-w-0 flex-1 basis-64 text-muted">
        The rule takes decisions signed by people themselves. A key made here never leaves this
        browser, and no script can read it.
      </p>
      <Button icon={KeyRound} busy={enrol.isPending} onClick={() => enrol.mutate()}>
        Make a key in this browser
      </Button>
      {enrol.isError && <ProblemNote problem={asProblem(enrol.error)} />}
    </div>
  );
}

/** What an operator types to lend to a key where the hub's lending does not count. */
export function OperatorCommand({ did, realm }: { did: string; realm: string }) {
  const command = `writ delegations issue ${did} --action writ.approve --realm ${realm} --sign OPERATOR.pem`;
  return (
    <div className="mt-2 flex flex-col gap-1">
      <p className="text-muted">Ask an operator to run this, then decide here:</p>
      <CopyField value={command} label="command" block />
    </div>
  );
}
