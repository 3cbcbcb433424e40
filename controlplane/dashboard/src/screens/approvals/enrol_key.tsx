// Getting a key of one's own, where a rule first wants it.
import { KeyRound } from "lucide-react";
import { asProblem } from "../../api/problem.ts";
import { CannotSign } from "../../people/lending.tsx";
import { useEnrolKey } from "../../people/own_keys.ts";
import { Button } from "../../ui/button.tsx";
import { ProblemNote } from "../../ui/notes.tsx";

export function EnrolKey({ able }: { able: boolean }) {
  const enrol = useEnrolKey();
  if (!able) return <CannotSign />;
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
