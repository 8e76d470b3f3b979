/** E-mail by SMTP. nodemailer is loaded only when there is a mail to send. */
import { Socket } from 'node:net';
import type { NotifyVia } from '../../inventory/types.ts';
import type { MailRequest } from '../../runtime.ts';
import type { Message } from './message.ts';

type Email = Extract<NotifyVia, { readonly kind: 'email' }>;

/** The mail of a message. Pure; `password`: already read, null without a login. */
export function mailOf(via: Email, message: Message, password: string | null): MailRequest {
  const { title, text, urgency, at } = message;
  return {
    server: via.server,
    login: via.user === undefined || password === null ? null : { user: via.user, password },
    from: via.from,
    to: via.to,
    subject: `[ProxWarden] ${title}`,
    text: `${text === '' ? title : text}\n\n${new Date(at).toISOString()}\n`,
    urgent: urgency === 'urgent',
  };
}

/**
 * Hands a mail to its server; rejects when it was not taken, with the server's words. Never sends a password over a
 * connection that is not encrypted.
 */
export async function sendMail(request: MailRequest, limitMs: number, signal?: AbortSignal): Promise<void> {
  const { createTransport } = await import('nodemailer');
  signal?.throwIfAborted();
  const { server, login, urgent, ...mail } = request;
  // Its own close() leaves a connection in use open.
  const socket = new Socket();
  const transport = createTransport({
    socket,
    host: server.host,
    port: server.port,
    secure: server.tls,
    requireTLS: !server.tls && !server.plaintext,
    connectionTimeout: limitMs,
    greetingTimeout: limitMs,
    socketTimeout: limitMs,
    ...(login === null ? {} : { auth: { user: login.user, pass: login.password } }),
  });
  const abort = (): void => void socket.destroy();
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await transport.sendMail({
      ...mail,
      to: [...mail.to],
      priority: urgent ? 'high' : 'normal',
      headers: { 'Auto-Submitted': 'auto-generated' },
      // Nothing of a message is ever read from a file or a URL.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  } finally {
    signal?.removeEventListener('abort', abort);
    socket.destroy();
  }
}
