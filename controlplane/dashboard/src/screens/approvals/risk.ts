// What a call can do, told from the name of its tool alone: nothing an agent says lowers it.
import type { Tone } from "../../ui/badge.tsx";

export interface Risk {
  tone: Tone;
  word: string;
  says: string;
}

const KNOWN: ReadonlyArray<readonly [pattern: RegExp, risk: Risk]> = [
  [
    /^shell\./,
    {
      tone: "bad",
      word: "runs a program",
      says: "It can do whatever the agent's sandbox lets a program do.",
    },
  ],
  [
    /^files\.write$/,
    { tone: "wait", word: "writes files", says: "It changes files in the agent's workspace." },
  ],
  [
    /^http\.get$/,
    { tone: "wait", word: "reaches out", says: "It sends a request to another host." },
  ],
  [
    /^files\.(read|list|search)$/,
    { tone: "idle", word: "reads", says: "It reads files of the agent's workspace." },
  ],
  [/^echo$/, { tone: "idle", word: "harmless", says: "It gives back what it was given." }],
];
const UNKNOWN: Risk = {
  tone: "wait",
  word: "unknown",
  says: "An action of this agent's own: nobody but its makers knows what it can do.",
};

export function riskOf(tool: string): Risk {
  return KNOWN.find(([pattern]) => pattern.test(tool))?.[1] ?? UNKNOWN;
}
