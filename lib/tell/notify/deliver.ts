/** Hands one message to one target. */
import { withDeadline } from '../../clock.ts';
import { FailedError, messageOf } from '../../errors.ts';
import { hindrance } from '../../inventory/programs.ts';
import { readSecret } from '../../inventory/secrets.ts';
import type { NotifyTarget, NotifyVia, SecretRef } from '../../inventory/types.ts';
import { redact } from '../../redact.ts';
import type { Runtime } from '../../runtime.ts';
import { plainText } from '../../text.ts';
import { mailOf } from './mail.ts';
import type { Message } from './message.ts';
import { httpRequestOf, type HttpRequest } from './services.ts';

/** A service that is slower is as good as away; the message waits in the outbox. */
export const LIMIT_MS = 10_000;
const ANSWER_MAX = 4096;

export type DeliverRuntime = Pick<Runtime, 'clock' | 'env' | 'httpDispatcher' | 'exec' | 'mail'>;

/** Delivers, or rejects with FailedError or InputError, one sentence that names the target and what it has answered. */
export async function deliver(
  { name, via }: NotifyTarget,
  message: Message,
  runtime: DeliverRuntime,
  signal?: AbortSignal,
): Promise<void> {
  const read = (ref: SecretRef): string => readSecret(ref, runtime.env);
  const failed: Failed = (why, cause) =>
    new FailedError(`${name} (${via.kind}) was not told: ${plainText(redact(why), 200)}`, { cause });
  try {
    if (via.kind === 'exec') return await runProgram(via, message, runtime, signal, failed);
    if (via.kind !== 'email')
      return await sendHttp(httpRequestOf(via, message, read), runtime, signal, failed);
    const password = via.password === undefined ? null : read(via.password);
    await withDeadline(runtime.clock, LIMIT_MS, signal, (inner) =>
      runtime.mail(mailOf(via, message, password), LIMIT_MS, inner),
    );
  } catch (error) {
    if (error instanceof FailedError || signal?.aborted === true) throw error;
    throw failed(messageOf(error), error);
  }
}

type Failed = (why: string, cause?: unknown) => FailedError;

async function runProgram(
  { path, args, timeoutMs }: Extract<NotifyVia, { readonly kind: 'exec' }>,
  message: Message,
  runtime: DeliverRuntime,
  signal: AbortSignal | undefined,
  failed: Failed,
): Promise<void> {
  const hindered = hindrance(path, runtime.env);
  if (hindered !== null) throw failed(hindered);
  const result = await runtime.exec({
    file: path,
    args,
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C.UTF-8',
      PROXWARDEN_HOOK: 'notify',
      PROXWARDEN_TITLE: message.title,
      PROXWARDEN_TOPIC: message.topic,
      PROXWARDEN_URGENCY: message.urgency,
      PROXWARDEN_CONTAINERS: message.containers.join(' '),
    },
    stdin: `${JSON.stringify({ ...message, at: new Date(message.at).toISOString() })}\n`,
    timeoutMs,
    signal,
  });
  if (result.exitCode === 0) return;
  const said = result.stderr.trim() || result.stdout.trim();
  const why = result.failure ?? `it ended with ${result.exitCode ?? 'a signal'}`;
  throw failed(said === '' ? why : `${why}: ${said}`);
}

async function sendHttp(
  { url, ...what }: HttpRequest,
  runtime: DeliverRuntime,
  signal: AbortSignal | undefined,
  failed: Failed,
): Promise<void> {
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) throw failed('its secret holds no http(s) URL');
  const { request } = await import('../../undici.ts');
  const dispatcher = await runtime.httpDispatcher();
  await withDeadline(runtime.clock, LIMIT_MS, signal, async (inner) => {
    const response = await request(url, { dispatcher, ...what, signal: inner });
    let text = '';
    for await (const chunk of response.body) {
      text += String(chunk);
      if (text.length > ANSWER_MAX) break;
    }
    const { statusCode } = response;
    if (statusCode >= 200 && statusCode < 300) return;
    throw failed(`it answers ${statusCode}${text.trim() === '' ? '' : `: ${text}`}`);
  });
}
