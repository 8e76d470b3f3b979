/**
 * One request to one endpoint: a deadline on the injected clock, a limit on the answer's size, and every failure sorted
 * into not-sent, refused or unknown. Nothing is ever tried a second time here.
 */
import type { Dispatcher } from 'undici';
import type * as z from 'zod';
import { abortReason, DeadlineError, withDeadline } from '../clock.ts';
import { ProxwardenError, PveError } from '../errors.ts';
import type { Tls } from '../inventory/types.ts';
import type { Runtime } from '../runtime.ts';
import type { CallOptions } from './api.ts';
import { networkTrouble, neverConnected, RequestError } from './failure.ts';
import { explainAnswer } from './messages.ts';
import { Envelope, ErrorBody } from './schemas.ts';
import { redact } from '../redact.ts';
import { plainText } from '../text.ts';
import { watchStart } from './watch.ts';

/** One call to build a request from. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below `/api2/json`, its segments encoded. */
  readonly path: string;
  /** Sent in the query (GET, DELETE) or as a form; undefined ones are left out, booleans become 1 and 0. */
  readonly params?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** What a person calls it: `start of CT 101 on pve1`. */
  readonly what: string;
  /** The node that has to carry it out, when it is about one. */
  readonly node: string | null;
}

export interface TransportOptions {
  readonly cluster: string;
  /** Who asks, for messages: `proxwarden@pve!cli`, `proxwarden@pve`. */
  readonly who: string;
  readonly tls: Tls;
  /** Deadline of one request, milliseconds. */
  readonly timeoutMs: number;
  readonly runtime: Pick<Runtime, 'clock' | 'dispatcher'>;
}

export interface SendOptions extends CallOptions {
  /** What authorises it. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

export interface Transport {
  /**
   * Sends it once and returns the answer's `data`, checked by `schema`.
   * @throws RequestError, or what the dispatcher's set-up throws (an unreadable CA file: InputError)
   */
  readonly send: <T>(endpoint: string, call: Call, schema: z.ZodType<T>, options?: SendOptions) => Promise<T>;
  readonly close: () => Promise<void>;
}

/** No answer that we read is near this; a bigger one is not from a PVE API. */
const ANSWER_BYTES_MAX = 10 * 1024 * 1024;

interface RawAnswer {
  readonly status: number;
  readonly reason: string;
  readonly contentType: string;
  /** Empty, unless the server compressed what nobody asked to be. */
  readonly encoding: string;
  /** null: it was larger than the limit. */
  readonly body: string | null;
}

export function createTransport(options: TransportOptions): Transport {
  const { cluster, who, tls, runtime } = options;
  const dispatchers = new Map<string, Promise<Dispatcher>>();

  function dispatcherOf(endpoint: string): Promise<Dispatcher> {
    const known = dispatchers.get(endpoint);
    if (known !== undefined) return known;
    const made = Promise.resolve(runtime.dispatcher(endpoint, tls));
    dispatchers.set(endpoint, made);
    return made;
  }

  async function exchange(
    endpoint: string,
    call: Call,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
    started: () => void,
  ): Promise<RawAnswer> {
    const { request } = await import('../undici.ts');
    const dispatcher = watchStart(await dispatcherOf(endpoint), started);
    const form = encode(call.params ?? {});
    const inQuery = call.method === 'GET' || call.method === 'DELETE';
    const query = inQuery && form !== '' ? `?${form}` : '';
    const response = await request(`${new URL(endpoint).origin}/api2/json${call.path}${query}`, {
      dispatcher,
      method: call.method,
      signal,
      headers: {
        ...headers,
        accept: 'application/json',
        ...(inQuery || form === '' ? {} : { 'content-type': 'application/x-www-form-urlencoded' }),
      },
      body: inQuery || form === '' ? null : form,
      // The deadline is ours, on the injected clock.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const header = (name: string): string => [response.headers[name] ?? ''].flat()[0] ?? '';
    return {
      status: response.statusCode,
      // A server may echo what it was sent, and what it says is printed.
      reason: said(response.statusText),
      contentType: said(header('content-type')),
      encoding: said(header('content-encoding')),
      body: await readBody(response.body),
    };
  }

  async function send<T>(
    endpoint: string,
    call: Call,
    schema: z.ZodType<T>,
    callOptions: SendOptions = {},
  ): Promise<T> {
    const timeoutMs = callOptions.timeoutMs ?? options.timeoutMs;
    let sent = false;
    let answer: RawAnswer;
    try {
      answer = await withDeadline(runtime.clock, timeoutMs, callOptions.signal, (signal) =>
        exchange(endpoint, call, callOptions.headers ?? {}, signal, () => {
          sent = true;
        }),
      );
    } catch (error) {
      // What the connection's set-up says in words: an unreadable CA file, another certificate than the pinned one.
      if (error instanceof ProxwardenError && !(error instanceof PveError)) throw error;
      const outcome = sent && !neverConnected(error) ? 'unknown' : 'not-sent';
      if (callOptions.signal?.aborted === true) {
        const why = redact(abortReason(callOptions.signal).message);
        throw new RequestError(`${call.what}: given up (${why})`, {
          failure: 'aborted',
          outcome,
          cause: error,
        });
      }
      const trouble = networkTrouble(error);
      const text = redact(
        error instanceof DeadlineError && !sent ? `no connection within ${timeoutMs} ms` : trouble.text,
      );
      const api = `${endpoint} of cluster ${cluster}`;
      const sentence =
        outcome === 'unknown' ? `${api} gave no complete answer: ${text}` : `cannot reach ${api}: ${text}`;
      throw new RequestError(`${call.what}: ${sentence}`, {
        failure: trouble.kind,
        outcome,
        hint: error instanceof PveError ? error.hint : trouble.kind === 'tls' ? TLS_HINT : undefined,
        cause: error,
      });
    }
    return judge(endpoint, call, schema, answer);
  }

  function judge<T>(endpoint: string, call: Call, schema: z.ZodType<T>, answer: RawAnswer): T {
    if (answer.status < 200 || answer.status >= 300) {
      const raw = said(serverWords(answer));
      const { message, ...rest } = explainAnswer({
        cluster,
        endpoint,
        who,
        what: call.what,
        node: call.node,
        status: answer.status,
        raw,
      });
      throw new RequestError(message, { ...rest, raw, status: answer.status });
    }
    const unusable = (why: string): RequestError =>
      new RequestError(
        `${call.what}: the answer of ${endpoint} of cluster ${cluster} cannot be used: ${why}`,
        {
          failure: 'answer',
          // It said 200, so it may well have been carried out.
          outcome: 'unknown',
          status: answer.status,
          hint: 'check that this endpoint is a Proxmox VE API (https://HOST:8006)',
        },
      );
    if (answer.status !== 200)
      throw unusable(`its status is ${answer.status}, which a Proxmox VE never gives`);
    if (answer.body === null) throw unusable(`it is larger than ${ANSWER_BYTES_MAX / 1024 / 1024} MiB`);
    if (answer.encoding !== '' && answer.encoding !== 'identity')
      throw unusable(`it is compressed (${plainText(answer.encoding, 20)}), which nobody asked for`);
    if (!/\bjson\b/i.test(answer.contentType))
      throw unusable(`it is ${describeType(answer)}, not JSON, so this is not a Proxmox VE API`);
    const parsed = parseJson(answer.body);
    if (parsed === undefined) throw unusable('its JSON is cut or broken');
    const envelope = Envelope.safeParse(parsed);
    if (!envelope.success) throw unusable('it has no "data", so this is not a Proxmox VE API');
    const data = schema.safeParse(envelope.data.data);
    if (!data.success) throw unusable(said(`it is not as expected — ${firstIssue(data.error)}`));
    return data.data;
  }

  async function close(): Promise<void> {
    const made = [...dispatchers.values()];
    dispatchers.clear();
    // A dispatcher that could not be made has told its caller so already.
    for (const result of await Promise.allSettled(made))
      if (result.status === 'fulfilled') await result.value.destroy();
  }

  return { send, close };
}

const TLS_HINT =
  'compare the fingerprint or CA in the inventory with `pvenode cert info` on that node; nothing was sent to it';

/** PVE's form encoding: booleans are 1 and 0. */
export function encode(params: NonNullable<Call['params']>): string {
  const form = new URLSearchParams();
  for (const [key, value] of Object.entries(params))
    if (value !== undefined)
      form.append(key, typeof value === 'boolean' ? (value ? '1' : '0') : String(value));
  return form.toString();
}

/** More than this of what a server says helps nobody. */
const SAID_MAX = 1000;

/** Words from outside, on one line and without secrets. */
function said(words: string): string {
  return plainText(redact(words), SAID_MAX);
}

async function readBody(body: AsyncIterable<unknown>): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Leaving the loop early destroys the stream, and with it the connection.
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) return null;
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** What the server says about an error: the reason phrase, made precise by the body where that has more. */
function serverWords({ reason, body }: RawAnswer): string {
  const parsed = ErrorBody.safeParse(parseJson(body ?? ''));
  const words = (reason === '' ? (parsed.data?.message ?? '') : reason).trim();
  const errors = Object.entries(parsed.data?.errors ?? {}).map(([name, text]) => `${name}: ${text.trim()}`);
  return errors.length === 0 ? words : `${words.replace(/\.$/, '')}: ${errors.join('; ')}`;
}

function describeType({ contentType, body }: RawAnswer): string {
  if (/html/i.test(contentType) || /^\s*<(!doctype|html)/i.test(body ?? '')) return 'a web page';
  return contentType === '' ? 'without a content type' : `of type ${plainText(contentType, 60)}`;
}

function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

function firstIssue(error: z.ZodError): string {
  const [issue] = error.issues;
  return issue === undefined
    ? error.message
    : `${issue.path.map(String).join('.') || 'data'}: ${issue.message}`;
}
