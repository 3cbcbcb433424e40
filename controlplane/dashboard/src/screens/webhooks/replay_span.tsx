// Sending again what was owed in a span of time: to a receiver that has lost what it had taken.
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "../../api/client.ts";
import type { WebhookView } from "../../api/schema.gen.ts";
import { Checkbox, Field, TextInput } from "../../ui/field.tsx";
import { FormDialog } from "../../ui/form_dialog.tsx";
import { toast } from "../../ui/toasts.tsx";

const HOUR_MS = 3_600_000;

/** A moment as a field of this browser's time zone has it. */
function fieldOf(moment: number): string {
  const local = new Date(moment - new Date(moment).getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

function momentOf(field: string): string | null {
  const at = Date.parse(field);
  return Number.isNaN(at) ? null : new Date(at).toISOString();
}

export function ReplaySpan({ webhook, onClose }: { webhook: WebhookView; onClose: () => void }) {
  const client = useQueryClient();
  const [from, setFrom] = useState(() => fieldOf(Date.now() - HOUR_MS));
  const [to, setTo] = useState("");
  const [arrived, setArrived] = useState(true);
  const since = momentOf(from);
  const until = to === "" ? null : momentOf(to);
  const backwards = since !== null && until !== null && until <= since;
  const replay = useMutation({
    mutationFn: () =>
      api.post("/api/v1/webhooks/{id}/replay", {
        path: { id: webhook.id },
        body: {
          delivered: arrived,
          ...(since === null ? {} : { since }),
          ...(until === null ? {} : { until }),
        },
      }),
    onSuccess: ({ replayed }) => {
      void client.invalidateQueries({ queryKey: ["webhooks", webhook.id] });
      toast(
        replayed === 0
          ? "Nothing was owed then"
          : `${replayed.toLocaleString()} on their way again`,
      );
      onClose();
    },
  });
  return (
    <FormDialog
      title="Replay a span of time"
      description="Each event keeps its id, so that a receiver can tell what it has had."
      verb="Send again"
      sending={replay}
      ready={since !== null && !backwards}
      onClose={onClose}
    >
      <Field label="From" required>
        {(props) => (
          <TextInput
            {...props}
            type="datetime-local"
            required
            value={from}
            onChange={(event) => setFrom(event.target.value)}
          />
        )}
      </Field>
      <Field
        label="Before"
        hint="Empty: until now."
        error={backwards ? "This is not after the beginning." : null}
      >
        {(props) => (
          <TextInput
            {...props}
            type="datetime-local"
            value={to}
            onChange={(event) => setTo(event.target.value)}
          />
        )}
      </Field>
      <Checkbox
        label="What has arrived too"
        hint="Without it: dead letters only."
        checked={arrived}
        onChange={(event) => setArrived(event.target.checked)}
      />
    </FormDialog>
  );
}
