import { Dispatcher } from 'undici';
import type { Clock } from '../clock.ts';
import { LabUnreachable } from './types.ts';
import type { LabControl, LabResponse } from './types.ts';

/** One way of every call takes a little, so that a loop that only asks does not stand still in time. */
const TRIP_MS = 2;

/**
 * An undici dispatcher that hands every request straight to the lab: what a real one does with sockets, without
 * them, so that scenarios run on a virtual clock. `nodeOf` says which node an endpoint's origin is.
 */
export function labDispatcher(
  lab: Pick<LabControl, 'handle'>,
  clock: Clock,
  nodeOf: (origin: string) => string,
): Dispatcher {
  return new LabDispatcher(lab, clock, nodeOf);
}

/** A connection that was refused, as Node reports it. */
class ConnectionRefused extends Error {
  readonly code = 'ECONNREFUSED';
}

/** What a machine without power looks like from its own network. */
class NoRoute extends Error {
  readonly code = 'EHOSTUNREACH';
  readonly syscall = 'connect';
}

class LabDispatcher extends Dispatcher {
  readonly #lab: Pick<LabControl, 'handle'>;
  readonly #clock: Clock;
  readonly #nodeOf: (origin: string) => string;
  readonly #open = new Set<Exchange>();

  constructor(lab: Pick<LabControl, 'handle'>, clock: Clock, nodeOf: (origin: string) => string) {
    super();
    this.#lab = lab;
    this.#clock = clock;
    this.#nodeOf = nodeOf;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const exchange = new Exchange(handler);
    this.#open.add(exchange);
    exchange.start();
    this.#carry(options, exchange).then(
      () => this.#open.delete(exchange),
      (error: unknown) => {
        this.#open.delete(exchange);
        exchange.fail(error instanceof Error ? error : new Error(String(error)));
      },
    );
    return true;
  }

  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | void {
    return settled(callback);
  }

  override destroy(): Promise<void>;
  override destroy(error: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(error: Error | null, callback: () => void): void;
  override destroy(first?: Error | null | (() => void), second?: () => void): Promise<void> | void {
    const error = first instanceof Error ? first : new Error('the client is destroyed');
    for (const exchange of this.#open) exchange.fail(error);
    this.#open.clear();
    return settled(typeof first === 'function' ? first : second);
  }

  async #carry(options: Dispatcher.DispatchOptions, exchange: Exchange): Promise<void> {
    if (exchange.done) return;
    const origin = String(options.origin ?? '');
    const request = {
      method: options.method,
      path: withQuery(options.path, options.query),
      headers: headersOf(options.headers),
      body: bodyOf(options.body),
    };
    let response: LabResponse;
    try {
      await this.#clock.sleep(TRIP_MS);
      response = await this.#lab.handle(this.#nodeOf(origin), request);
      await this.#clock.sleep(TRIP_MS);
    } catch (error) {
      if (!(error instanceof LabUnreachable)) throw error;
      // Nothing comes back at all: only the caller's own deadline ends it.
      if (error.how === 'timeout') return exchange.givenUp;
      if (error.how === 'no-route') throw new NoRoute(`connect EHOSTUNREACH ${origin}`);
      throw new ConnectionRefused(`connect ECONNREFUSED ${origin}`);
    }
    exchange.respond(response);
  }
}

function settled(callback: (() => void) | undefined): Promise<void> | void {
  if (callback === undefined) return Promise.resolve();
  queueMicrotask(callback);
}

/** One request and its handler, new style or old. */
class Exchange implements Dispatcher.DispatchController {
  readonly #handler: Dispatcher.DispatchHandler;
  /** Resolves when the caller has given up. */
  readonly givenUp: Promise<void>;
  #release: () => void = () => undefined;
  #reason: Error | null = null;
  done = false;
  paused = false;

  constructor(handler: Dispatcher.DispatchHandler) {
    this.#handler = handler;
    this.givenUp = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  get aborted(): boolean {
    return this.#reason !== null;
  }

  get reason(): Error | null {
    return this.#reason;
  }

  abort(reason?: Error): void {
    if (this.done) return;
    this.#reason = reason ?? new Error('aborted');
    this.fail(this.#reason);
    this.#release();
  }

  // The whole body is one chunk: there is nothing to hold back.
  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  start(): void {
    if (this.#handler.onRequestStart !== undefined) this.#handler.onRequestStart(this, {});
    else this.#handler.onConnect?.((reason) => this.abort(reason));
  }

  respond(response: LabResponse): void {
    if (this.done) return;
    const chunk = Buffer.from(response.body);
    const headers = { ...response.headers, 'content-length': String(chunk.length) };
    if (this.#handler.onRequestStart !== undefined) {
      this.#handler.onResponseStart?.(this, response.status, headers, response.statusText);
      if (chunk.length > 0) this.#handler.onResponseData?.(this, chunk);
      if (this.#stopped()) return;
      this.done = true;
      this.#handler.onResponseEnd?.(this, {});
      return;
    }
    const raw = Object.entries(headers).flatMap(([name, value]) => [Buffer.from(name), Buffer.from(value)]);
    this.#handler.onHeaders?.(response.status, raw, () => this.resume(), response.statusText);
    if (chunk.length > 0) this.#handler.onData?.(chunk);
    if (this.#stopped()) return;
    this.done = true;
    this.#handler.onComplete?.([]);
  }

  fail(error: Error): void {
    if (this.done) return;
    this.done = true;
    if (this.#handler.onRequestStart !== undefined) this.#handler.onResponseError?.(this, error);
    else this.#handler.onError?.(error);
  }

  /** A handler may abort in the middle of an answer. */
  #stopped(): boolean {
    return this.done;
  }
}

function withQuery(path: string, query: Record<string, unknown> | undefined): string {
  if (query === undefined) return path;
  const text = new URLSearchParams(
    Object.entries(query).flatMap(([key, value]) =>
      (Array.isArray(value) ? value : [value]).map((one): [string, string] => [key, textOf(one)]),
    ),
  ).toString();
  return text === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${text}`;
}

function headersOf(headers: Dispatcher.DispatchOptions['headers']): Record<string, string> {
  const result: Record<string, string> = {};
  if (headers === undefined || headers === null) return result;
  const pairs = Array.isArray(headers)
    ? pairsOf(headers)
    : Symbol.iterator in headers
      ? [...headers]
      : Object.entries(headers);
  for (const [name, value] of pairs) if (value !== undefined) result[name.toLowerCase()] = textOf(value);
  return result;
}

function pairsOf(flat: readonly unknown[]): [string, unknown][] {
  return flat.flatMap((name, index): [string, unknown][] =>
    index % 2 === 0 ? [[String(name), flat[index + 1]]] : [],
  );
}

function bodyOf(body: Dispatcher.DispatchOptions['body']): string {
  if (body === undefined || body === null) return '';
  if (typeof body === 'string') return body;
  if (body instanceof Uint8Array) return Buffer.from(body).toString('utf8');
  throw new Error('the lab takes text bodies only');
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.map(textOf).join(', ');
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : '';
}
