// Which events were told already. A stream that begins again may repeat those of the last seconds.

const KEPT = 5_000;

export class Told {
  readonly #ids = new Set<string>();

  /** Whether an event has not been told before; from now on it has. */
  isNews(id: string): boolean {
    // By the id itself: ids made in one millisecond, or by two hubs, are in no order.
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    for (const oldest of this.#ids) {
      if (this.#ids.size <= KEPT) break;
      this.#ids.delete(oldest);
    }
    return true;
  }
}
