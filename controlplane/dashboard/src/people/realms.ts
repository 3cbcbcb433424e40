// The realms that the signed-in person may see, as forms and filters offer them.
import { queryOptions } from "@tanstack/react-query";
import { api } from "../api/client.ts";

export const allRealms = queryOptions({
  queryKey: ["people", "realms"],
  queryFn: ({ signal }) => api.get("/api/v1/realms", { query: { limit: 200 }, signal }),
});
