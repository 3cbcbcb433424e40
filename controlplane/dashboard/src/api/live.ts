// One stream of events for the whole page, and for every tab of it: the tab that holds the lock
// reads `/api/v1/events`, the others listen to it. (HTTP/1.1 gives a browser six connections to a
// host; a stream a tab would use them up.) Owns reconnecting; what events mean for what is cached
// is in `freshness.ts`.
import { hubUrl } from "./client.ts";
import { type HubEvent, readEvents } from "./event_stream.ts";
import { session } from "./session.ts";
import { Told } from "./told.ts";

/** `lost` says since when nothing has come; `live` that everything comes as it happens. */
export type LiveState = { kind: "connecting" | "live" } | { kind: "lost"; since: number };

type Message =
  | { kind: "event"; event: HubEvent }
  | { kind: "state"; state: LiveState }
  | { kind: "resumed" }
  | { kind: "hello" }
  | { kind: "retry" };

const QUIET_MS = 40_000;
const LONGEST_WAIT_MS = 15_000;

export class Live {
  #state: LiveState = { kind: "connecting" };
  #listeners = new Set<() => void>();
  #readers = new Set<(event: HubEvent) => void>();
  #resumed = new Set<() => void>();
  #channel: BroadcastChannel | null = null;
  #ended = new AbortController();
  #leads = false;
  #lastId = "";
  #told = new Told();
  #wake: () => void = () => {};

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
  readonly snapshot = (): LiveState => this.#state;

  /** Call `reader` with each event from now on. */
  onEvent(reader: (event: HubEvent) => void): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }

  /** Call `reader` whenever the stream begins (again): what happened before may have been missed. */
  onResumed(reader: () => void): () => void {
    this.#resumed.add(reader);
    return () => this.#resumed.delete(reader);
  }

  start(who: string): void {
    const name = `writ.live ${hubUrl("").href} ${who}`;
    this.#ended = new AbortController();
    const { signal } = this.#ended;
    window.addEventListener("online", () => this.retry(), { signal });
    if (!navigator.locks || typeof BroadcastChannel === "undefined") {
      void this.#lead();
      return;
    }
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = (message) => this.#hear(message.data as Message);
    this.#tell({ kind: "hello" });
    navigator.locks.request(name, { signal }, () => this.#lead()).catch(() => {});
  }

  stop(): void {
    this.#ended.abort();
    this.#wake();
    this.#channel?.close();
    this.#channel = null;
    this.#leads = false;
    this.#lastId = "";
    this.#told = new Told();
    this.#set({ kind: "connecting" });
  }

  /** Try again now rather than after the wait. */
  retry(): void {
    if (this.#leads) this.#wake();
    else this.#tell({ kind: "retry" });
  }

  async #lead(): Promise<void> {
    this.#leads = true;
    const { signal } = this.#ended;
    let failures = 0;
    while (!signal.aborted) {
      if (await this.#read(signal)) failures = 0;
      if (signal.aborted) return;
      if (this.#state.kind !== "lost") this.#share({ kind: "lost", since: Date.now() });
      const wait = Math.min(LONGEST_WAIT_MS, 500 * 2 ** failures) * (0.75 + Math.random() / 2);
      failures += 1;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, wait);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Read until the stream ends; true when it had begun. */
  async #read(ended: AbortSignal): Promise<boolean> {
    const quiet = new AbortController();
    let timer = setTimeout(() => quiet.abort(), QUIET_MS);
    try {
      const answer = await fetch(hubUrl("/api/v1/events"), {
        headers: this.#lastId === "" ? {} : { "Last-Event-ID": this.#lastId },
        credentials: "same-origin",
        cache: "no-store",
        signal: AbortSignal.any([ended, quiet.signal]),
      });
      if (answer.status === 401) await session.ask("expired");
      if (!answer.ok || answer.body === null) return false;
      this.#share({ kind: "live" });
      this.#tell({ kind: "resumed" });
      for (const reader of this.#resumed) reader();
      for await (const event of readEvents(answer.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => quiet.abort(), QUIET_MS);
        if (event === null || event.type === "lagged") continue;
        if (event.type === "ended") break;
        if (!this.#isNews(event)) continue;
        this.#tell({ kind: "event", event });
        this.#pass(event);
      }
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }

  #hear(message: Message): void {
    if (message.kind === "hello" && this.#leads) this.#tell({ kind: "state", state: this.#state });
    if (message.kind === "retry" && this.#leads) this.#wake();
    if (this.#leads) return;
    if (message.kind === "event" && this.#isNews(message.event)) this.#pass(message.event);
    if (message.kind === "state") this.#set(message.state);
    if (message.kind === "resumed") for (const reader of this.#resumed) reader();
  }

  #isNews(event: HubEvent): boolean {
    if (event.id === "") return true;
    this.#lastId = event.id;
    return this.#told.isNews(event.id);
  }

  #pass(event: HubEvent): void {
    for (const reader of this.#readers) reader(event);
  }

  #share(state: LiveState): void {
    this.#set(state);
    this.#tell({ kind: "state", state });
  }

  #tell(message: Message): void {
    this.#channel?.postMessage(message);
  }

  #set(state: LiveState): void {
    this.#state = state;
    for (const listener of this.#listeners) listener();
  }
}

export const live = new Live();
