// What this browser saw of the record before, compared each time the screen is opened.
import { useQuery } from "@tanstack/react-query";
import { CircleCheck } from "lucide-react";
import { asProblem } from "../../api/problem.ts";
import { Refused } from "../../proof/json.ts";
import { LogFork } from "../../proof/seen_record.ts";
import { type Growth, growth } from "./queries.ts";
import { NotVerified } from "./verify.tsx";

export function Memory() {
  const { data, error } = useQuery(growth);
  const isQuiet = error !== null && !(error instanceof LogFork);
  return (
    <div className="min-h-9 px-4 pb-3 sm:px-3">
      {data && (
        <p role="status" className="flex gap-2 text-good">
          <CircleCheck aria-hidden className="mt-0.5 size-4 shrink-0" />
          {wordsOf(data)}
        </p>
      )}
      {error instanceof LogFork && <NotVerified error={error} />}
      {isQuiet && (
        <p className="text-muted">
          {"Not compared with what this browser saw before: "}
          <code className="text-xs">
            {error instanceof Refused ? error.code : asProblem(error).code}
          </code>
        </p>
      )}
    </div>
  );
}

function wordsOf({ before, now }: Growth): string {
  const entries = `${now.toLocaleString()} entries`;
  if (before === null)
    return `This browser remembers the record from now on, as of ${entries}: another one would be noticed.`;
  if (before === now) return `The record is the one this browser saw before: ${entries}.`;
  return `The record has only grown since this browser last looked, from ${before.toLocaleString()} to ${entries}: proved here.`;
}
