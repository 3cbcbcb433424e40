// Policies as the hub tells of them, and the text that people edit.
import { useQuery } from "@tanstack/react-query";
import { api } from "../../api/client.ts";
import { usePages } from "../../api/pages.ts";
import type { AgentView, PolicyView } from "../../api/schema.gen.ts";
import { asText } from "../../ui/diff.tsx";

export function useAgents() {
  return usePages<AgentView>(["agents", "policies"], ({ limit, cursor }, signal) =>
    api.get("/api/v1/agents", { query: { limit, cursor } as never, signal }),
  );
}

/** Policies of realms and of the fleet; those of agents are shown with their agents. */
export function useLayers() {
  return useQuery({
    queryKey: ["policies", "layers"],
    queryFn: async ({ signal }) => {
      const { items } = await api.get("/api/v1/policies", { query: { limit: 200 }, signal });
      return items.filter((one) => one.layer !== "agent" && one.version !== null);
    },
  });
}

export function useStanding(did: string) {
  return useQuery({
    queryKey: ["policies", "standing", did],
    queryFn: ({ signal }) => api.get("/api/v1/agents/{did}/policy", { path: { did }, signal }),
  });
}

export interface Content {
  rules: PolicyView["rules"];
  limits: PolicyView["limits"];
}

/** What is edited: rules and limits, as indented JSON with keys in one order. */
export function textOf(policy: Content | null): string {
  return asText({ rules: policy?.rules ?? [], limits: policy?.limits ?? {} });
}

export interface Fault {
  /** From 1; null where no one line is to blame. */
  line: number | null;
  says: string;
}

/** Read what was typed; the hub judges what it means, this only whether it is JSON of the form. */
export function readText(text: string): { content: Content } | { fault: Fault } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const says = error instanceof Error ? error.message : "not JSON";
    const at = /position (\d+)/.exec(says)?.[1];
    const line = at === undefined ? null : text.slice(0, Number(at)).split("\n").length;
    return { fault: { line, says: `This is not JSON: ${says}` } };
  }
  if (typeof value !== "object" || value === null || !Array.isArray((value as Content).rules))
    return { fault: { line: null, says: "A policy is {rules: […], limits: {…}}" } };
  const { rules, limits = {}, ...rest } = value as Content & Record<string, unknown>;
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined)
    return { fault: { line: lineOf(text, `"${unknown}"`), says: `${unknown} is no field of it` } };
  return { content: { rules, limits } as Content };
}

/** The line on which `rules/2/when`, a JSON pointer without its first slash, begins; roughly. */
export function lineOfPointer(text: string, pointer: string): number | null {
  const parts = pointer.split("/").filter(Boolean);
  const at = parts[0] === "rules" ? Number(parts[1]) : Number.NaN;
  if (Number.isNaN(at)) return lineOf(text, `"${parts[0] ?? ""}"`);
  let seen = -1;
  const lines = text.split("\n");
  for (const [index, line] of lines.entries()) {
    if (/^ {4}\{/.test(line)) seen += 1;
    if (seen !== at) continue;
    const field = parts[2];
    if (field === undefined || line.includes(`"${field}"`)) return index + 1;
  }
  return null;
}

function lineOf(text: string, what: string): number | null {
  const at = text.indexOf(what);
  return at < 0 ? null : text.slice(0, at).split("\n").length;
}
