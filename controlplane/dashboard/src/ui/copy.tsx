// Text that is meant to be taken elsewhere: ids, fingerprints, commands.
import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";
import { IconButton } from "./button.tsx";
import { classes } from "./classes.ts";
import { shorten } from "./shorten.ts";

async function write(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without https there is no clipboard: the old way still works from a click.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "fixed -top-96";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 1_500);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <>
      <IconButton
        label={label}
        icon={copied ? Check : Copy}
        className="-my-1.5"
        onClick={() => void write(text).then(setCopied)}
      />
      <span role="status" className="sr-only">
        {copied ? "Copied" : ""}
      </span>
    </>
  );
}

/** A value with a button that copies it. `short` cuts its middle out; the whole is what is copied. */
export function CopyField({
  value,
  label,
  short = false,
  block = false,
}: {
  value: string;
  label: string;
  short?: boolean;
  block?: boolean;
}) {
  return (
    <span
      className={classes(
        "inline-flex max-w-full items-center gap-1",
        block && "flex w-full rounded-md border border-line bg-sunken py-1 pr-1 pl-2.5",
      )}
    >
      <code
        title={short ? value : undefined}
        className={classes("min-w-0 text-xs", block ? "flex-1 break-all" : "truncate")}
      >
        {short ? shorten(value) : value}
      </code>
      <CopyButton text={value} label={`Copy ${label}`} />
    </span>
  );
}
