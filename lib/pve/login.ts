/** How the API is logged into: with a token in every request, or as a user (tickets.ts). */
import type * as z from 'zod';
import type { Clock } from '../clock.ts';
import { InputError } from '../errors.ts';
import { registerSecret } from '../redact.ts';
import type { CallOptions } from './api.ts';
import { RequestError } from './failure.ts';
import { createTicketLogin } from './tickets.ts';
import type { Call, Transport } from './transport.ts';

/** The credentials themselves, read from where the inventory says. */
export type PveCredentials =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  /** They could not be read: every call fails with the reason, and nothing is sent. */
  | { readonly kind: 'none'; readonly why: InputError };

export interface LoginOptions {
  readonly cluster: string;
  readonly transport: Transport;
  /** Deadline of one request, milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
}

export interface Login {
  /** Sends one call with what authorises it. @throws RequestError */
  readonly send: <T>(endpoint: string, call: Call, schema: z.ZodType<T>, options?: CallOptions) => Promise<T>;
  /** Gives up what is under way. */
  readonly close: () => void;
}

const TOKEN = /^[^\s:/@!=]+@[A-Za-z][\w.-]*![A-Za-z][\w.-]*=[\x21-\x7e]+$/;

/** `proxwarden@pve!cli` or `proxwarden@pve`: who it is for Proxmox VE. Throws InputError for what is no token. */
export function identityOf(cluster: string, credentials: PveCredentials): string {
  if (credentials.kind === 'none') return '';
  if (credentials.kind === 'password') return credentials.user;
  if (!TOKEN.test(credentials.token))
    throw new InputError(`the API token of cluster ${cluster} is not of the form user@realm!name=secret`, {
      hint: 'for example proxwarden@pve!cli=00000000-0000-…; `pveum user token add` shows it once, when it is made',
    });
  return credentials.token.slice(0, credentials.token.indexOf('='));
}

/** Makes the login; nothing is sent yet. The secrets are registered, so that no text shows them. */
export function createLogin(credentials: PveCredentials, options: LoginOptions): Login {
  if (credentials.kind === 'password') {
    registerSecret(credentials.password);
    return createTicketLogin(credentials, options);
  }
  if (credentials.kind === 'none') {
    const { message, hint } = credentials.why;
    const known = { failure: 'auth', outcome: 'not-sent', login: true, hint } as const;
    return { send: () => Promise.reject(new RequestError(message, known)), close: () => undefined };
  }
  const { token } = credentials;
  registerSecret(token.slice(token.indexOf('=') + 1));
  const headers = { authorization: `PVEAPIToken=${token}` };
  return {
    send: (endpoint, call, schema, callOptions) =>
      options.transport.send(endpoint, call, schema, { ...callOptions, headers }),
    close: () => undefined,
  };
}
