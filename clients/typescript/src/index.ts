export { Quell } from "./client.js";
export { QuellError, Refused, Unreachable, WaitTimeout } from "./errors.js";
export type { EventsOptions } from "./events.js";
export type { Settings } from "./transport.js";
export * from "./types.js";
