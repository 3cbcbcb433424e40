// What this browser has checked itself and did not find to hold, with the check that failed.
import { CircleX } from "lucide-react";
import { asProblem } from "../api/problem.ts";
import { Refused } from "../proof/json.ts";
import { inert } from "./inert.ts";

export function NotVerified({ error }: { error: Error }) {
  const code = error instanceof Refused ? error.code : asProblem(error).code;
  return (
    <p role="alert" className="flex gap-2 rounded-md bg-bad-ground px-3 py-2 text-bad">
      <CircleX aria-hidden className="mt-0.5 size-4 shrink-0" />
      <span>
        <span className="font-medium">Not verified.</span> <code>{code}</code>{" "}
        {inert(error.message)}
      </span>
    </p>
  );
}
