/** What can go wrong. Each message says what was wanted, what happened, and what to do. */
import type { Problem } from "./types.js";

/** All of these. */
export class QuellError extends Error {
  override name = "QuellError";
}

/** Nobody answered. Nothing is known of what was asked, unless it is asked again. */
export class Unreachable extends QuellError {
  override name = "Unreachable";
}

/** The server refused, and said why (RFC 9457). */
export class Refused extends QuellError {
  override name = "Refused";
  readonly status: number;
  readonly problem: Partial<Problem>;
  /** The end of the problem's type: "not-found", "conflict", "invalid" and so on. */
  readonly kind: string;
  /** Seconds after which asking again may help. */
  readonly retryAfter: number | undefined;

  constructor(status: number, problem: Partial<Problem>, retryAfter?: number) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`);
    this.status = status;
    this.problem = problem;
    this.kind = (problem.type ?? "").replace(/^.*:/, "");
    this.retryAfter = retryAfter;
  }
}

/** A wait was given up after the time that it was given. */
export class WaitTimeout extends QuellError {
  override name = "TimeoutError";
}
