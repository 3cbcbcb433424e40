// The session as React sees it.
import { useSyncExternalStore } from "react";
import { plain } from "./client.ts";
import { Problem } from "./problem.ts";
import { type Me, session } from "./session.ts";

session.setLoader(async () => {
  try {
    return await plain.get("/api/v1/me");
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null;
    throw error;
  }
});

export function useSession() {
  return useSyncExternalStore(session.subscribe, session.snapshot);
}

/** Who is signed in; only below the signed-in part of the page. */
export function useMe(): Me {
  const { me } = useSession();
  if (me == null) throw new Error("nobody is signed in");
  return me;
}

/** Whether the person may do something somewhere; the hub decides each time all the same. */
export function useCan(permission: string): boolean {
  return useSession().me?.permissions.includes(permission) ?? false;
}
