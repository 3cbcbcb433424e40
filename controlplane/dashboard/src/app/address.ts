// What a page keeps behind the `?` of its address: filters that a reload and a link bring back.
import { useSearchParams } from "wouter";

type Part = Readonly<Record<string, string | null>>;

export interface Address {
  params: URLSearchParams;
  /** Change some in place, without a step in the history; what is empty leaves the address. */
  change: (part: Part) => void;
  clear: () => void;
}

/** Those of the names of which the address says something. */
export function chosen<Name extends string>(
  params: URLSearchParams,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const found = names.flatMap((name) => {
    const value = params.get(name);
    return value ? [[name, value] as const] : [];
  });
  return Object.fromEntries(found) as Partial<Record<Name, string>>;
}

export function useAddress(): Address {
  const [params, setParams] = useSearchParams();
  const change = (part: Part) =>
    setParams(
      (before) => {
        const next = new URLSearchParams(before);
        for (const [name, value] of Object.entries(part))
          if (value) next.set(name, value);
          else next.delete(name);
        return next;
      },
      { replace: true },
    );
  const clear = () => setParams(new URLSearchParams(), { replace: true });
  return { params, change, clear };
}
