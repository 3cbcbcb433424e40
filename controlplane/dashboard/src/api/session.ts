// Who is signed in, in one place outside React: the client asks it for the value every change
// carries, and hands it the question "sign in again?" that a dialog answers.
import type { MeView } from "./schema.gen.ts";

export type Me = MeView;
/** Why somebody has to prove who they are once more. */
export type Ask = "expired" | "step-up";

export interface SessionState {
  /** undefined until the hub has been asked; null when nobody is signed in. */
  readonly me: Me | null | undefined;
  readonly ask: Ask | null;
  /** The hub did not answer when it was asked. */
  readonly unreachable: boolean;
}

type LoadMe = () => Promise<Me | null>;

class Session {
  #state: SessionState = { me: undefined, ask: null, unreachable: false };
  #listeners = new Set<() => void>();
  #waiting: Array<(signedIn: boolean) => void> = [];
  #load: LoadMe = () => Promise.resolve(null);

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
  readonly snapshot = (): SessionState => this.#state;

  /** Wires the request that tells who one is; the client needs the session, not the reverse. */
  setLoader(load: LoadMe): void {
    this.#load = load;
  }

  csrfToken(): string | null {
    return this.#state.me?.csrfToken ?? null;
  }

  signedIn(): boolean {
    return this.#state.me != null;
  }

  can(permission: string): boolean {
    return this.#state.me?.permissions.includes(permission) ?? false;
  }

  /** Ask the hub who we are; afterwards the state says so. Another person's page starts afresh. */
  async refresh(): Promise<void> {
    const before = this.#state.me;
    try {
      const me = await this.#load();
      if (before && me && before.id !== me.id) location.reload();
      this.#set({ me, unreachable: false });
    } catch {
      this.#set({ unreachable: true });
    }
  }

  /** Have the person sign in again; true when they did, false when they would not. */
  ask(why: Ask): Promise<boolean> {
    if (this.#state.ask === null) this.#set({ ask: why });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async answer(signedIn: boolean): Promise<void> {
    if (signedIn) await this.refresh();
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#set({ ask: null });
    for (const resolve of waiting) resolve(signedIn);
  }

  signedOut(): void {
    this.#set({ me: null, ask: null });
  }

  #set(change: Partial<SessionState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}

export const session = new Session();
