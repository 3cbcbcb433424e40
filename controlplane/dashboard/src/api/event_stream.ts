// Parses server-sent events from a stream of bytes (WHATWG HTML, 9.2.6). No network, no state of
// the page.

export interface HubEvent {
  id: string;
  /** Dotted, such as `intent.finished`. */
  type: string;
  data: Record<string, unknown>;
}

/** Yields each event; a comment (the hub's heartbeat) yields null. */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<HubEvent | null> {
  const reader = body
    .pipeThrough(new TextDecoderStream() as never)
    .getReader() as ReadableStreamDefaultReader<string>;
  let rest = "";
  let event = { id: "", type: "message", data: "" };
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value;
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          if (event.data !== "") yield parse(event);
          event = { id: "", type: "message", data: "" };
        } else if (line.startsWith(":")) {
          yield null;
        } else {
          const at = line.indexOf(":");
          const name = at < 0 ? line : line.slice(0, at);
          const text = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
          if (name === "data") event.data += event.data === "" ? text : `\n${text}`;
          else if (name === "event") event.type = text;
          else if (name === "id") event.id = text;
        }
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parse(event: { id: string; type: string; data: string }): HubEvent {
  let data: unknown;
  try {
    data = JSON.parse(event.data);
  } catch {
    data = null;
  }
  const known = typeof data === "object" && data !== null && !Array.isArray(data);
  return { id: event.id, type: event.type, data: known ? (data as Record<string, unknown>) : {} };
}
