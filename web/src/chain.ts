/**
 * Whether the audit's lines are whole: each row's hash covers the one before it, and the server signs
 * where the chain begins and ends. The same as `quell audit verify`, here in the browser.
 */
export interface Verdict {
  rows: number;
  last: number;
  /** What is broken; null where all of it holds. */
  broken: string | null;
  /** The server's key in base64, where what it signed holds; null where the browser can't tell. */
  signedBy: string | null;
}

interface Place {
  seq: number;
  hash: string;
  at: string;
  key: string;
  signature: string;
}

interface Line {
  seq: number;
  at: string;
  hash: string;
  anchor?: Place;
  head?: Place;
}

/** Browsers have digests only where nobody on the way could have changed the page. */
export function canVerify(): boolean {
  return globalThis.crypto?.subtle !== undefined;
}

export async function verify(lines: Iterable<string>): Promise<Verdict> {
  const chain = new Chain();
  for (const line of lines) if (!(await chain.take(line))) break;
  return chain.verdict();
}

class Chain {
  #rows = 0;
  #seq = 0;
  #hash = new Uint8Array(32);
  #headed = false;
  #broken: string | null = null;
  #signedBy: string | null = null;

  /** False once something is broken. */
  async take(line: string): Promise<boolean> {
    const read = JSON.parse(line) as Line;
    if (read.anchor) await this.#takePlace("anchor", read.anchor);
    else if (read.head) await this.#takePlace("head", read.head);
    else await this.#takeRow(read, line);
    return !this.#broken;
  }

  verdict(): Verdict {
    const lacks = this.#headed ? null : `no signed head follows row ${this.#seq}: rows may lack at the end`;
    return { rows: this.#rows, last: this.#seq, broken: this.#broken ?? lacks, signedBy: this.#signedBy };
  }

  async #takeRow({ seq, at, hash }: Line, line: string): Promise<void> {
    // What is hashed is the row's own text, as the server wrote it.
    const text = line.slice(line.indexOf('"row":') + 6, line.lastIndexOf("}"));
    const before = this.#hash;
    this.#hash = await digest(before, numbers(seq, Date.parse(at)), new TextEncoder().encode(text));
    if (seq !== this.#seq + 1) this.#broken = `row ${seq} follows row ${this.#seq}`;
    else if (hex(this.#hash) !== hash) this.#broken = `row ${seq} does not follow from what it says and the row before it`;
    this.#seq = seq;
    this.#rows++;
  }

  async #takePlace(what: "anchor" | "head", place: Place): Promise<void> {
    const text = `quell-audit-${what}\n${place.seq}\n${place.hash}\n${place.at}\n`;
    const holds = await signatureHolds(place, text);
    if (holds === false) this.#broken = `the signature of the ${what} does not hold`;
    if (holds) this.#signedBy = place.key;
    if (what === "anchor") {
      this.#seq = place.seq;
      this.#hash = bytesOfHex(place.hash);
      return;
    }
    this.#headed = true;
    if (place.seq !== this.#seq || place.hash !== hex(this.#hash))
      this.#broken ??= `the chain goes to row ${place.seq}, and the last row here is ${this.#seq}`;
  }
}

/** Null where this browser knows no Ed25519. */
async function signatureHolds({ key, signature }: Place, text: string): Promise<boolean | null> {
  try {
    const known = await crypto.subtle.importKey("raw", bytesOf64(key), "Ed25519", false, ["verify"]);
    return await crypto.subtle.verify("Ed25519", known, bytesOf64(signature), new TextEncoder().encode(text));
  } catch {
    return null;
  }
}

async function digest(...parts: Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

/** Each as 8 bytes, most significant first. */
function numbers(...values: number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, index) => view.setBigInt64(8 * index, BigInt(value)));
  return new Uint8Array(view.buffer);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function bytesOfHex(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function bytesOf64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}
