/** The HTTP request that each service wants for a message. Pure: secrets are given. */
import type { NotifyVia, SecretRef, UrlRef } from '../../inventory/types.ts';
import { fillTemplate, plainText, shorten, type Message } from './message.ts';

export interface HttpRequest {
  readonly url: string;
  readonly method: 'POST' | 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

type HttpVia = Exclude<NotifyVia, { readonly kind: 'email' | 'exec' }>;

const NTFY_PRIORITY = { info: 3, warning: 4, urgent: 5 } as const;
const NTFY_TAG = { info: 'white_check_mark', warning: 'warning', urgent: 'rotating_light' } as const;
const GOTIFY_PRIORITY = { info: 4, warning: 6, urgent: 9 } as const;
/** Limits of the services, in characters. */
const MOST = { ntfy: 3000, slack: 30_000, discord: 1900, telegram: 4000 } as const;

/** `read`: the secret that a reference points to. Throws what `read` throws. */
export function httpRequestOf(via: HttpVia, message: Message, read: (ref: SecretRef) => string): HttpRequest {
  const urlOf = (ref: UrlRef): string => (ref.kind === 'url' ? ref.url : read(ref));
  switch (via.kind) {
    case 'ntfy': {
      // As JSON to the server's root: headers could not carry every character.
      const url = new URL(urlOf(via.url));
      const topic = url.pathname.split('/').findLast((part) => part !== '') ?? '';
      url.pathname = url.pathname.replace(/[^/]*\/?$/, '');
      const authorization = via.token === undefined ? {} : { authorization: `Bearer ${read(via.token)}` };
      const { title, text, urgency } = message;
      return post(
        url.href,
        {
          topic: decodeURIComponent(topic),
          title: shorten(title, 200),
          message: shorten(text === '' ? title : text, MOST.ntfy),
          priority: NTFY_PRIORITY[urgency],
          tags: [NTFY_TAG[urgency]],
        },
        authorization,
      );
    }
    case 'slack': {
      // What a node has said must not become a mention or a link.
      const text = plainText(message, MOST.slack)
        .replaceAll('&', '&amp;')
        .replaceAll('<', '&lt;')
        .replaceAll('>', '&gt;');
      return post(read(via.url), { text });
    }
    case 'discord':
      return post(read(via.url), {
        content: plainText(message, MOST.discord),
        allowed_mentions: { parse: [] },
      });
    case 'telegram':
      return post(`${via.url.replace(/\/$/, '')}/bot${read(via.token)}/sendMessage`, {
        chat_id: via.chat,
        text: plainText(message, MOST.telegram),
        link_preview_options: { is_disabled: true },
      });
    case 'gotify': {
      const { title, text, urgency } = message;
      return post(
        `${via.url.replace(/\/$/, '')}/message`,
        { title, message: text === '' ? title : text, priority: GOTIFY_PRIORITY[urgency] },
        { 'x-gotify-key': read(via.token) },
      );
    }
    case 'webhook': {
      const headers = Object.fromEntries(
        Object.entries(via.headers).map(([name, value]) => [
          name.toLowerCase(),
          typeof value === 'string' ? value : read(value),
        ]),
      );
      const body =
        via.body === undefined
          ? JSON.stringify({ ...message, at: new Date(message.at).toISOString() })
          : fillTemplate(via.body, message);
      const type = /^\s*[{[]/.test(body) ? 'application/json' : 'text/plain; charset=utf-8';
      return { url: urlOf(via.url), method: via.method, headers: { 'content-type': type, ...headers }, body };
    }
  }
}

function post(url: string, body: object, headers: Readonly<Record<string, string>> = {}): HttpRequest {
  return {
    url,
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  };
}
