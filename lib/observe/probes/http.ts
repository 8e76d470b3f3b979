/** The http probe: status and, if wanted, a text in the body. Redirects are not followed: their status is a status. */
import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { ProbeSpec } from '../../inventory/types.ts';
import { plainText } from '../../text.ts';
import type { Attempt, Outcome } from './attempt.ts';
import { connectTo } from './http-connect.ts';
import { connectionFailure } from './reasons.ts';

type HttpSpec = Extract<ProbeSpec, { kind: 'http' }>;

/** Only this much of a body is looked at. */
const BODY_LIMIT_BYTES = 1024 * 1024;

/**
 * Makes one request on a connection of its own, by Node's own client: undici's, which speaks to the clusters, is made to
 * keep connections, and takes half as long again for one request. Rejects with ProbeError.
 */
export async function httpAttempt(spec: HttpSpec, attempt: Attempt): Promise<Outcome> {
  const url = new URL(spec.url);
  let socket: Socket | undefined;
  try {
    socket = await connectTo(url, spec.insecure, attempt);
    const response = await ask(url, spec.method, socket);
    attempt.alive();
    return await judge(spec, response);
  } catch (error) {
    throw connectionFailure(error, url.hostname);
  } finally {
    // Also drops what is left of the body, however endless.
    socket?.destroy();
  }
}

function ask(url: URL, method: HttpSpec['method'], socket: Socket): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = request({
      method,
      path: `${url.pathname}${url.search}`,
      headers: { host: url.host, 'user-agent': 'proxwarden', accept: '*/*', connection: 'close' },
      createConnection: () => socket,
      // Whatever NODE_OPTIONS says: what is not HTTP is not taken for it.
      insecureHTTPParser: false,
    });
    asked.once('response', resolve);
    // A server that changes the protocol unasked.
    asked.once('upgrade', (response) => resolve(response));
    asked.on('error', reject);
    asked.end();
  });
}

async function judge(spec: HttpSpec, response: IncomingMessage): Promise<Outcome> {
  const { statusCode = 0 } = response;
  // Destroying the socket makes the body fail; without a listener that would be an uncaught error.
  response.on('error', () => undefined);
  if (!spec.status.some(([low, high]) => statusCode >= low && statusCode <= high))
    return { ok: false, reason: `status ${statusCode}, wanted ${statusText(spec.status)}` };
  if (spec.body === undefined) return { ok: true };
  return (await contains(response, spec.body))
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
