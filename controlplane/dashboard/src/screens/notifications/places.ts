// Where a notification leads: to the screen of what it is about.
const PLACES: Record<string, (subject: string) => string> = {
  "approval.requested": (subject) => `/approvals/${subject}`,
  "approval.expired": (subject) => `/approvals/${subject}`,
  "registration.requested": (subject) => `/fleet/requests/${subject}`,
  "agent.quarantined": (subject) => `/fleet/${subject}`,
  key_conflict: (subject) => `/fleet/${subject}`,
  "webhook.disabled": (subject) => `/webhooks/${subject}`,
  "audit.fork_reported": () => "/audit?kind=audit.fork_reported",
  "intent.finished": (subject) => `/orders/${subject}`,
};

const ID = /^[\w.:-]+$/;

/** The address of what it is about; the record's entry where no screen shows it. */
export function placeOf({ kind, subject }: { kind: string; subject: string }): string {
  const place = PLACES[kind];
  if (place && ID.test(subject)) return place(subject);
  return `/audit?subject=${encodeURIComponent(subject)}`;
}
