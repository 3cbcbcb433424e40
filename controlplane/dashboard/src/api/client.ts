// Typed requests to the hub: paths, parameters, bodies and answers are those of its OpenAPI
// description. Owns headers, problems, and what happens when a session has ended; no screens.

import { ownAddress } from "./own_address.ts";
import { Problem, unreachable } from "./problem.ts";
import type { paths } from "./schema.gen.ts";
import { type Ask, session } from "./session.ts";

export type Method = "get" | "post" | "put" | "patch" | "delete";
export type PathOf<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<M, { responses: unknown }> ? P : never;
}[keyof paths];
type OperationOf<P extends keyof paths, M extends Method> =
  paths[P] extends Record<M, infer O> ? O : never;

type Success = 200 | 201 | 202 | 204;
type Content<R> = R extends { content: { "application/json": infer J } } ? J : undefined;
/** What an operation answers when it succeeds. */
export type AnswerOf<P extends keyof paths, M extends Method> =
  OperationOf<P, M> extends { responses: infer R }
    ? { [S in keyof R & Success]: Content<R[S]> }[keyof R & Success]
    : never;

type Parameters<O> = O extends { parameters: infer A } ? A : never;
type InPath<O> = Parameters<O> extends { path: infer A } ? { path: A } : { path?: never };
type InQuery<O> = Parameters<O> extends { query?: infer A } ? { query?: A } : { query?: never };
type InBody<O> = O extends { requestBody: { content: { "application/json": infer B } } }
  ? { body: B }
  : O extends { requestBody?: { content: { "application/json": infer B } } }
    ? { body?: B }
    : { body?: never };

interface Extra {
  signal?: AbortSignal | undefined;
  /** An ETag: the change is made only over that version. */
  ifMatch?: string | undefined;
  /** So that a repeated request is done once. */
  idempotencyKey?: string | undefined;
}
export type OptionsOf<P extends keyof paths, M extends Method> = InPath<OperationOf<P, M>> &
  InQuery<OperationOf<P, M>> &
  InBody<OperationOf<P, M>> &
  Extra;
type Args<T> = Record<never, never> extends T ? [options?: T] : [options: T];

interface AnyOptions extends Extra {
  path?: Record<string, string>;
  query?: Record<string, unknown>;
  body?: unknown;
}

/** The address of something of this hub, wherever it lies on its host; never of anything else. */
export function hubUrl(path: string): URL {
  return ownAddress(path, document.baseURI);
}

function addressOf(path: string, options: AnyOptions): URL {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(options.path?.[name] ?? ""),
  );
  const url = hubUrl(filled);
  for (const [name, given] of Object.entries(options.query ?? {}))
    for (const value of Array.isArray(given) ? given : [given])
      if (value !== undefined && value !== null && value !== "")
        url.searchParams.append(name, String(value));
  return url;
}

async function send(method: Method, path: string, options: AnyOptions): Promise<unknown> {
  const headers = new Headers({ Accept: "application/json" });
  if (options.body !== undefined) headers.set("Content-Type", "application/json");
  if (options.ifMatch !== undefined) headers.set("If-Match", options.ifMatch);
  if (options.idempotencyKey !== undefined) headers.set("Idempotency-Key", options.idempotencyKey);
  const csrf = session.csrfToken();
  if (csrf !== null && method !== "get") headers.set("X-CSRF-Token", csrf);
  let answer: Response;
  try {
    answer = await fetch(addressOf(path, options), {
      method: method.toUpperCase(),
      headers,
      credentials: "same-origin",
      cache: "no-store",
      ...(options.signal ? { signal: options.signal } : {}),
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw unreachable();
  }
  if (answer.status === 204) return undefined;
  const text = await answer.text();
  let value: unknown;
  try {
    value = text === "" ? undefined : JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (answer.ok) return value;
  throw new Problem(answer.status, (value ?? {}) as Record<string, unknown>);
}

/** What may be asked of the person before the same request is sent again; null for nothing. */
function asks(problem: Problem): Ask | null {
  if (problem.code === "unauthenticated" && session.signedIn()) return "expired";
  if (problem.code === "step_up_required") return "step-up";
  return null;
}

async function request(method: Method, path: string, options: AnyOptions = {}): Promise<unknown> {
  try {
    return await send(method, path, options);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.code === "cross_site" && method !== "get" && session.signedIn()) {
      // Another tab has signed in anew: this page's value is that of the session before.
      await session.refresh();
      return await send(method, path, options);
    }
    // What the page offers follows what the person may: a role of theirs has changed meanwhile.
    if (error.code === "forbidden" && session.signedIn()) void session.refresh();
    const ask = asks(error);
    if (ask === null) throw error;
    // The person signs in again in a dialog above whatever they were doing.
    if (!(await session.ask(ask))) throw error;
    return await send(method, path, options);
  }
}

export const api = {
  get: <P extends PathOf<"get">>(path: P, ...[options]: Args<OptionsOf<P, "get">>) =>
    request("get", path, options as AnyOptions) as Promise<AnswerOf<P, "get">>,
  post: <P extends PathOf<"post">>(path: P, ...[options]: Args<OptionsOf<P, "post">>) =>
    request("post", path, options as AnyOptions) as Promise<AnswerOf<P, "post">>,
  put: <P extends PathOf<"put">>(path: P, ...[options]: Args<OptionsOf<P, "put">>) =>
    request("put", path, options as AnyOptions) as Promise<AnswerOf<P, "put">>,
  patch: <P extends PathOf<"patch">>(path: P, ...[options]: Args<OptionsOf<P, "patch">>) =>
    request("patch", path, options as AnyOptions) as Promise<AnswerOf<P, "patch">>,
  delete: <P extends PathOf<"delete">>(path: P, ...[options]: Args<OptionsOf<P, "delete">>) =>
    request("delete", path, options as AnyOptions) as Promise<AnswerOf<P, "delete">>,
};

/** The same without asking the person anything: for the sign-in itself. */
export const plain = {
  get: <P extends PathOf<"get">>(path: P, ...[options]: Args<OptionsOf<P, "get">>) =>
    send("get", path, (options ?? {}) as AnyOptions) as Promise<AnswerOf<P, "get">>,
  post: <P extends PathOf<"post">>(path: P, ...[options]: Args<OptionsOf<P, "post">>) =>
    send("post", path, (options ?? {}) as AnyOptions) as Promise<AnswerOf<P, "post">>,
};
