// What a failed request says (RFC 9457), and a failure without any answer, as one error class.

export class Problem extends Error {
  readonly status: number;
  /** Stable, such as `conflict`; `unreachable` when the hub gave no answer. */
  readonly code: string;
  readonly title: string;
  readonly detail: string | null;
  readonly requestId: string | null;
  /** Fields that are wrong: a JSON pointer into the body, and why. */
  readonly fields: ReadonlyArray<{ pointer: string; detail: string }>;

  constructor(status: number, said: Record<string, unknown>) {
    const text = (name: string) => (typeof said[name] === "string" ? said[name] : null);
    super(text("detail") ?? text("title") ?? `HTTP ${status}`);
    this.name = "Problem";
    this.status = status;
    this.code = text("code") ?? "unknown";
    this.title = text("title") ?? "Something went wrong";
    this.detail = text("detail");
    this.requestId = text("requestId");
    this.fields = Array.isArray(said.errors) ? said.errors.flatMap(readField) : [];
  }
}

export const unreachable = (): Problem =>
  new Problem(0, {
    code: "unreachable",
    title: "The hub does not answer",
    detail: "It may be restarting, or the network is gone. Nothing you typed is lost.",
  });

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, {
    code: "internal",
    title: "Something went wrong in this page",
    detail: error instanceof Error ? error.message : String(error),
  });
}

function readField(one: unknown): Array<{ pointer: string; detail: string }> {
  if (typeof one !== "object" || one === null) return [];
  const { pointer, detail } = one as Record<string, unknown>;
  return typeof pointer === "string" && typeof detail === "string" ? [{ pointer, detail }] : [];
}
