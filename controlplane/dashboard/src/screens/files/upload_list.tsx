// What is being sent, how far it has come, and what went wrong with it.
import { CircleAlert, CircleCheck, RotateCcw, X } from "lucide-react";
import { Button, IconButton } from "../../ui/button.tsx";
import { inert } from "../../ui/inert.ts";
import { sizeOf } from "./size.ts";
import { drop, forgetArrived, retry, type Upload, useUploads } from "./uploads.ts";

export function UploadList() {
  const uploads = useUploads();
  if (uploads.length === 0) return null;
  return (
    <section aria-label="Uploads" className="mx-3 mb-4 rounded-lg border border-line bg-surface">
      <h2 className="flex h-10 items-center justify-between gap-2 border-b border-line px-4 font-semibold">
        Uploads
        {uploads.every((one) => one.state === "done") && (
          <Button size="sm" look="quiet" onClick={forgetArrived}>
            Clear
          </Button>
        )}
      </h2>
      <ul className="max-h-72 overflow-y-auto">
        {uploads.map((one) => (
          <Line key={one.id} upload={one} />
        ))}
      </ul>
    </section>
  );
}

function Line({ upload }: { upload: Upload }) {
  const { file, state, sent, problem } = upload;
  const name = inert(file.name);
  return (
    <li className="flex items-center gap-3 border-line px-4 py-2 not-first:border-t">
      <div className="min-w-0 flex-1">
        <p className="truncate font-medium">{name}</p>
        {state === "failed" ? (
          <p role="alert" className="text-bad">
            {problem?.title}
            {problem?.detail && `: ${problem.detail}`}
          </p>
        ) : (
          <p className="tabular text-xs text-muted">{saidOf(upload)}</p>
        )}
        {(state === "sending" || state === "storing") && (
          <progress
            aria-label={`Sending ${name}`}
            className="mt-1 block h-1.5 w-full accent-accent"
            max={Math.max(1, file.size)}
            value={state === "storing" ? undefined : sent}
          />
        )}
      </div>
      {state === "done" && (
        <>
          <CircleCheck aria-hidden className="size-4 text-good" />
          <span role="status" className="sr-only">
            {name} has arrived
          </span>
        </>
      )}
      {state === "failed" && (
        <>
          <CircleAlert aria-hidden className="size-4 text-bad" />
          <Button size="sm" icon={RotateCcw} onClick={() => retry(upload.id)}>
            Again
          </Button>
        </>
      )}
      <IconButton
        label={state === "done" || state === "failed" ? `Forget ${name}` : `Cancel ${name}`}
        icon={X}
        onClick={() => drop(upload.id)}
      />
    </li>
  );
}

function saidOf({ file, state, sent }: Upload): string {
  const whole = sizeOf(file.size);
  if (state === "waiting") return `${whole}, waits its turn`;
  if (state === "storing") return `${whole} sent; the hub is storing it`;
  return state === "done" ? `${whole}, arrived` : `${sizeOf(sent)} of ${whole}`;
}
