/** Server-sent events, from bytes as they come. Owns no connection. */
export interface ServerEvent {
  id: string;
  event: string;
  data: string;
}

export class EventReader {
  /** The id of the last event, with which a stream is taken up again. */
  last: string | undefined;
  #decoder = new TextDecoder();
  #rest = "";
  #event = "";
  #data: string[] = [];

  constructor(last?: string) {
    this.last = last;
  }

  /** A new connection begins: what was incomplete is dropped. */
  again(): void {
    this.#decoder = new TextDecoder();
    this.#rest = "";
    this.#event = "";
    this.#data = [];
  }

  /** The events that are complete with these bytes. */
  feed(bytes: Uint8Array): ServerEvent[] {
    const found: ServerEvent[] = [];
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const event = this.#take(line.replace(/\r$/, ""));
      if (event) found.push(event);
    }
    return found;
  }

  #take(line: string): ServerEvent | undefined {
    if (line) {
      this.#field(line);
      return undefined;
    }
    const event = { id: this.last ?? "", event: this.#event, data: this.#data.join("\n") };
    const whole = this.#event !== "";
    this.#event = "";
    this.#data = [];
    return whole ? event : undefined;
  }

  #field(line: string): void {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "id") this.last = value;
    if (name === "event") this.#event = value;
    if (name === "data") this.#data.push(value);
  }
}
