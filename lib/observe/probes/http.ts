/** The http probe: status and, if wanted, a text in the body. Redirects are not followed: their status is a status. */
import { Client, type Dispatcher } from 'undici';
import type { ProbeSpec } from '../../inventory/types.ts';
import { plainText } from '../../text.ts';
import type { Attempt, Outcome } from './attempt.ts';
import { probeConnector } from './http-connect.ts';
import { connectionFailure } from './reasons.ts';

type HttpSpec = Extract<ProbeSpec, { kind: 'http' }>;

/** Only this much of a body is looked at. */
const BODY_LIMIT_BYTES = 1024 * 1024;

/** Makes one request on a connection of its own. Rejects with ProbeError. */
export async function httpAttempt(spec: HttpSpec, attempt: Attempt): Promise<Outcome> {
  const url = new URL(spec.url);
  const client = new Client(url.origin, {
    connect: probeConnector({ insecure: spec.insecure, attempt }),
    pipelining: 1,
    // undici's own timers are coarse; the attempt's signal is the deadline.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  try {
    const response = await client.request({
      method: spec.method,
      path: `${url.pathname}${url.search}`,
      headers: { 'user-agent': 'proxwarden', accept: '*/*' },
      reset: true,
      signal: attempt.signal,
    });
    attempt.alive();
    return await judge(spec, response);
  } catch (error) {
    throw connectionFailure(error, url.hostname);
  } finally {
    // Also drops what is left of the body, however endless. It rejects only for what the request has rejected for.
    client.destroy().catch(() => undefined);
  }
}

async function judge(spec: HttpSpec, response: Dispatcher.ResponseData): Promise<Outcome> {
  const { statusCode, body } = response;
  // Destroying the client makes the body fail; without a listener that would be an uncaught error.
  body.on('error', () => undefined);
  if (!spec.status.some(([low, high]) => statusCode >= low && statusCode <= high))
    return { ok: false, reason: `status ${statusCode}, wanted ${statusText(spec.status)}` };
  if (spec.body === undefined) return { ok: true };
  return (await contains(body, spec.body))
    ? { ok: true }
    : { ok: false, reason: `body does not contain "${plainText(spec.body, 60)}"` };
}

/** Whether the first MiB of `body` has `text` in it; does not read on once it has. */
async function contains(body: AsyncIterable<Uint8Array>, text: string): Promise<boolean> {
  const wanted = Buffer.from(text);
  let left = BODY_LIMIT_BYTES;
  // The end of what came before, in which the text may have begun.
  let tail: Uint8Array = Buffer.alloc(0);
  for await (const chunk of body) {
    const seen = Buffer.concat([tail, chunk.subarray(0, left)]);
    if (seen.includes(wanted)) return true;
    left -= chunk.length;
    if (left <= 0) return false;
    tail = seen.subarray(Math.max(0, seen.length - wanted.length + 1));
  }
  return wanted.length === 0;
}

/** The status code in the reason of a probe that failed for it; null: it failed for something else. */
export function statusIn(reason: string): number | null {
  const [, code] = /^status (\d{3}), wanted /.exec(reason) ?? [];
  return code === undefined ? null : Number(code);
}

/** `200-399, 401`. */
function statusText(ranges: readonly (readonly [number, number])[]): string {
  return ranges.map(([low, high]) => (low === high ? String(low) : `${low}-${high}`)).join(', ');
}
