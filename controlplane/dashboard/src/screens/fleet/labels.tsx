import { Badge } from "../../ui/badge.tsx";
import { inert } from "../../ui/inert.ts";

export function Labels({ labels }: { labels: Record<string, string> }) {
  return (
    <span className="inline-flex max-w-full gap-1 overflow-hidden">
      {Object.entries(labels).map(([key, value]) => (
        <Badge key={key}>
          {inert(key)}={inert(value)}
        </Badge>
      ))}
    </span>
  );
}
