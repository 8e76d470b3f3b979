/** `notify:` and `heartbeat:`: who is told what, and who hears that the runs go on. */
import * as z from 'zod';
import { hook } from './checks.ts';
import * as f from './fields.ts';
import type { NotifyTarget, NotifyVia, Topic, UrlRef } from './types.ts';

export const TOPICS = [
  'down',
  'up',
  'failover',
  'restart',
  'returned',
  'needs-person',
  'brake',
] as const satisfies readonly Topic[];

const KINDS = [
  'email',
  'ntfy',
  'slack',
  'discord',
  'telegram',
  'gotify',
  'webhook',
  'exec',
] as const satisfies readonly NotifyVia['kind'][];

const REFERENCE = /^(env|file):/;

/** A URL, or a reference to where one is kept: of a chat's webhook the URL itself is the secret. */
const urlOrRef = z.string().transform((value, context): UrlRef => {
  const parsed = (REFERENCE.test(value) ? f.secretRef : f.httpUrl).safeParse(value);
  if (!parsed.success) {
    const [message = 'is not a URL', fix = 'write https://host/path, env:NAME or file:PATH'] =
      parsed.error.issues[0]?.message.split('\n') ?? [];
    return f.refuse(context, message, fix);
  }
  return typeof parsed.data === 'string' ? { kind: 'url', url: parsed.data } : parsed.data;
});

const ntfy = z.union([
  urlOrRef.transform((url): NotifyVia => ({ kind: 'ntfy', url })),
  f
    .strict({
      url: urlOrRef
        .describe('Server and topic: https://ntfy.sh/my-topic.')
        .meta({ written: ['https://ntfy.sh/a-topic-that-nobody-guesses'] }),
      token: f.secretRef
        .optional()
        .describe('Access token, if the topic is protected: env:NAME or file:PATH.'),
    })
    .transform(({ url, token }): NotifyVia => ({
      kind: 'ntfy',
      url,
      ...(token === undefined ? {} : { token }),
    })),
]);

const telegram = f
  .strict({
    token: f.secretRef.describe('Token of the bot: env:NAME or file:PATH.'),
    chat: z
      .union([z.string().min(1).max(100), z.int().transform(String)])
      .describe('Id of the chat, or @channel.')
      .meta({ written: ['@my-channel'] }),
    url: f.httpUrl.optional().describe('A Bot API server of your own. Default https://api.telegram.org.'),
  })
  .transform(({ token, chat, url = 'https://api.telegram.org/' }): NotifyVia => ({
    kind: 'telegram',
    token,
    chat,
    url,
  }));

const gotify = f
  .strict({
    url: f.httpUrl
      .describe('The server: https://push.example.org.')
      .meta({ written: ['https://push.example.org'] }),
    token: f.secretRef.describe('Token of the application: env:NAME or file:PATH.'),
  })
  .transform(({ url, token }): NotifyVia => ({ kind: 'gotify', url, token }));

const header = z
  .string()
  .max(4096)
  .regex(/^[^\r\n]*$/, { error: f.said('holds a line break', 'write one line') });

const webhook = z.union([
  urlOrRef.transform((url): NotifyVia => ({ kind: 'webhook', url, method: 'POST', headers: {} })),
  f
    .strict({
      url: urlOrRef.describe('http or https, or a reference: env:NAME or file:PATH.'),
      method: z.enum(['POST', 'PUT']).optional().describe('HTTP method. Default POST.'),
      headers: z
        .record(
          f.text(/^[A-Za-z0-9-]{1,100}$/, 'the name of a header', 'Authorization'),
          header.transform((value): string | ReturnType<typeof f.secretRef.parse> =>
            REFERENCE.test(value) ? f.secretRef.parse(value) : value,
          ),
        )
        .optional()
        .describe('By name; a value may be a reference: env:NAME or file:PATH.'),
      body: z
        .string()
        .max(65_536)
        .optional()
        .describe(
          'What is sent, with {{title}}, {{text}}, {{topic}}, {{urgency}}, {{containers}}, {{at}} filled in. Default: all of it as JSON.',
        ),
    })
    .transform(({ url, method = 'POST', headers = {}, body }): NotifyVia => ({
      kind: 'webhook',
      url,
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    })),
]);

const address = z
  .string()
  .max(320)
  .regex(/^[^\s@<>,;:"]+@[^\s@<>,;:"]+$/, {
    error: f.said('is not an e-mail address', 'write name@example.org'),
  });

const SERVER = /^(smtps?):\/\/([^/:@\s]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?\/?$/;

const email = f
  .strict({
    server: z
      .string()
      .meta({ pattern: SERVER.source })
      .transform((value, context) => {
        const [, scheme, host, port] = SERVER.exec(value) ?? [];
        const number = port === undefined ? (scheme === 'smtps' ? 465 : 587) : Number(port);
        if (scheme === undefined || host === undefined || number < 1 || number > 65_535)
          return f.refuse(
            context,
            'is not a mail server',
            'write smtp://host:587 (STARTTLS) or smtps://host:465, without a login',
          );
        return { host: host.replace(/^\[|\]$/g, ''), port: number, tls: scheme === 'smtps' };
      })
      .describe('The mail server: smtp:// (STARTTLS is demanded) or smtps://. Required.')
      .meta({ written: ['smtp://mail.example.org:587'] }),
    plaintext: z
      .boolean()
      .optional()
      .describe('true: without STARTTLS too, for a mail server on this very machine. Default false.'),
    user: z.string().min(1).max(320).optional().describe('Login, if it wants one.'),
    password: f.secretRef.optional().describe('env:NAME or file:PATH, never the password itself.'),
    from: address.describe('Address of the sender. Required.').meta({ written: ['proxwarden@example.org'] }),
    to: z
      .union([address.transform((one) => [one]), z.array(address).min(1).max(50)])
      .describe('Who gets it: one address, or a list. Required.')
      .meta({ written: ['me@example.org'] }),
  })
  .transform(({ server, user, password, plaintext = false, ...rest }, context): NotifyVia => {
    if ((user === undefined) !== (password === undefined))
      return f.refuse(context, 'has a user or a password, and not both', 'give both, or none', [
        user === undefined ? 'password' : 'user',
      ]);
    if (plaintext && user !== undefined)
      return f.refuse(context, 'would send the password in the clear', 'leave plaintext out', ['plaintext']);
    return {
      kind: 'email',
      server: { ...server, plaintext },
      ...(user === undefined || password === undefined ? {} : { user, password }),
      ...rest,
    };
  });

/** Of a chat, whoever has the URL may write into it: it does not belong into git. */
function chatWebhook(kind: 'slack' | 'discord') {
  return f.secretRef.transform((url): NotifyVia => ({ kind, url }));
}

const target = f
  .strict({
    email: email.optional().describe('A mail by SMTP.'),
    ntfy: ntfy.optional().describe('ntfy: server and topic, or a mapping with url and token.'),
    slack: chatWebhook('slack')
      .optional()
      .describe('URL of an incoming webhook, as env:NAME or file:PATH.')
      .meta({ written: ['env:SLACK_WEBHOOK'] }),
    discord: chatWebhook('discord')
      .optional()
      .describe('URL of a webhook, as env:NAME or file:PATH.')
      .meta({ written: ['file:/etc/proxwarden/discord'] }),
    telegram: telegram.optional().describe('A bot of Telegram.'),
    gotify: gotify.optional().describe('A Gotify server.'),
    webhook: webhook.optional().describe('Any other HTTP service.'),
    exec: hook
      .transform((program): NotifyVia => ({ kind: 'exec', ...program }))
      .optional()
      .describe('A program of the inventory folder; it gets the message as JSON on stdin.'),
    name: f
      .text(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a name (lower-case letters, digits, hyphens)', 'phone')
      .optional()
      .describe('How `notify test` and `status` call it. Default: its kind.'),
    when: z
      .array(z.enum(TOPICS))
      .min(1)
      .optional()
      .describe(`What it is told: of ${TOPICS.join(', ')}. Default: all.`),
  })
  .meta({ oneOf: KINDS.map((kind) => ({ required: [kind] })) })
  .transform((given, context): NotifyTarget => {
    const vias = KINDS.map((kind) => given[kind]).filter((via) => via !== undefined);
    const [via] = vias;
    if (via === undefined || vias.length > 1)
      return f.refuse(
        context,
        via === undefined ? 'says no way to tell anybody' : 'holds more than one way',
        `give exactly one of ${KINDS.join(', ')} per list entry`,
      );
    return { name: given.name ?? via.kind, topics: given.when ?? TOPICS, via };
  });

export const notify = f.strict({
  to: z
    .array(target)
    .max(20)
    .optional()
    .describe('Who is told, and how: each entry is one way, and says optionally when.'),
  repeat: f
    .duration({ minMs: 60_000 })
    .optional()
    .describe('While a person is needed, it is said again this often. Default 4h.')
    .meta({ written: ['4h'] }),
});

/** Where a monitor listens that raises an alarm when it hears nothing. */
export const heartbeat = f.strict({
  url: urlOrRef
    .describe('Base URL as healthchecks.io has it; /start and /fail are added.')
    .meta({ written: ['https://hc-ping.com/your-uuid'] }),
});
