// Files on their way to the hub, one after the other, wherever in the dashboard one goes meanwhile.
// The bytes go through the hub, which passes them on to whatever store it has: this page asks no
// other host for anything, so a pre-signed address of that store is of no use to it.
import { useSyncExternalStore } from "react";
import { api, hubUrl } from "../../api/client.ts";
import { asProblem, Problem } from "../../api/problem.ts";
import { session } from "../../api/session.ts";

export interface Upload {
  readonly id: number;
  readonly file: File;
  readonly realm: string;
  readonly state: "waiting" | "sending" | "storing" | "done" | "failed";
  readonly sent: number;
  readonly problem: Problem | null;
  /** So that sending again after a break makes one file, not two. */
  readonly once: string;
}

let uploads: readonly Upload[] = [];
let next = 1;
let running: { id: number; cancel: () => void } | null = null;
const listeners = new Set<() => void>();
const finished = new Set<() => void>();

function set(changed: readonly Upload[]): void {
  uploads = changed;
  for (const listener of listeners) listener();
  const busy = uploads.some((one) => one.state !== "done" && one.state !== "failed");
  window.onbeforeunload = busy ? (event) => event.preventDefault() : null;
}

function change(id: number, part: Partial<Upload>): void {
  set(uploads.map((one) => (one.id === id ? { ...one, ...part } : one)));
}

// The next person at this page sees nothing of what this one was sending, and sends none of it.
session.subscribe(() => {
  if (session.snapshot().me !== null || uploads.length === 0) return;
  running?.cancel();
  set([]);
});

export function addUploads(files: Iterable<File>, realm: string): void {
  const added = [...files].map(
    (file): Upload => ({
      id: next++,
      file,
      realm,
      state: "waiting",
      sent: 0,
      problem: null,
      once: newOnce(),
    }),
  );
  set([...uploads, ...added]);
  void run();
}

/** Send one again that failed. */
export function retry(id: number): void {
  change(id, { state: "waiting", sent: 0, problem: null });
  void run();
}

/** Take one out: it is cancelled where it is under way, else only forgotten. */
export function drop(id: number): void {
  if (running?.id === id) running.cancel();
  set(uploads.filter((one) => one.id !== id));
}

/** Take out those that have arrived. */
export function forgetArrived(): void {
  set(uploads.filter((one) => one.state !== "done"));
}

export function useUploads(): readonly Upload[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => uploads,
  );
}

/** Call `listener` after each file that has arrived, until the returned function is called. */
export function onArrived(listener: () => void): () => void {
  finished.add(listener);
  return () => finished.delete(listener);
}

async function run(): Promise<void> {
  if (running !== null) return;
  const upload = uploads.find((one) => one.state === "waiting");
  if (!upload) return;
  const cancelled = new AbortController();
  running = { id: upload.id, cancel: () => cancelled.abort() };
  try {
    // Somebody whose session has ended signs in first, not after the last byte.
    await api.get("/api/v1/me", { signal: cancelled.signal });
    await send(upload, cancelled.signal);
    change(upload.id, { state: "done", sent: upload.file.size });
    for (const listener of finished) listener();
  } catch (error) {
    if (!cancelled.signal.aborted)
      change(upload.id, { state: "failed", problem: asProblem(error) });
  } finally {
    running = null;
  }
  void run();
}

/** Send a file as a form, whose bytes the browser reads from the disk as they go. */
function send(upload: Upload, signal: AbortSignal): Promise<void> {
  const form = new FormData();
  // The fields first: the hub decides before the bytes come.
  form.append("realm", upload.realm);
  form.append("name", upload.file.name);
  form.append("file", upload.file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", hubUrl("/api/v1/files"));
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Idempotency-Key", upload.once);
    const csrf = session.csrfToken();
    if (csrf !== null) request.setRequestHeader("X-CSRF-Token", csrf);
    request.upload.onprogress = ({ loaded }) =>
      change(upload.id, { state: "sending", sent: Math.min(loaded, upload.file.size) });
    request.upload.onload = () => change(upload.id, { state: "storing", sent: upload.file.size });
    request.onload = () => {
      if (request.status < 300) resolve();
      else reject(new Problem(request.status, readProblem(request.responseText)));
    };
    request.onerror = () =>
      reject(
        new Problem(0, {
          code: "broken_off",
          title: "The connection broke",
          detail: "The file may be bigger than this hub takes, or the hub went away meanwhile.",
        }),
      );
    signal.addEventListener("abort", () => {
      request.abort();
      reject(signal.reason);
    });
    request.send(form);
  });
}

function readProblem(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function newOnce(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}
