/**
 * Logging in as a user. `POST /access/ticket` gives a ticket, which goes into a cookie, and a token against forged
 * requests (CSRF), which goes with every write. A ticket serves all nodes of a cluster: they share the key that signs
 * it. unmeasured: the answer to a good password was not recorded; its fields are the schema's, a ticket's life of two
 * hours and the renewal with the ticket itself as the password are Proxmox's documented behaviour.
 */
import { abortReason, DeadlineError, withDeadline } from '../clock.ts';
import { registerSecret } from '../redact.ts';
import type { CallOptions } from './api.ts';
import { isNetworkFailure, RequestError } from './failure.ts';
import type { Login, LoginOptions } from './login.ts';
import { TicketReply } from './schemas.ts';
import type { Call } from './transport.ts';

const MINUTE_MS = 60_000;
/** From this age on a new one is got, with the old one as the password, beside the work that goes on with the old one. */
const RENEW_MS = 90 * MINUTE_MS;
/** Proxmox VE ends it after two hours by the node's clock; ours may differ. */
const LIFE_MS = 115 * MINUTE_MS;
/** How long one endpoint has to itself for a login before another is tried beside it: it may be dead. */
const LEAD_MS = 1_000;
/** A password that was refused is not sent again for so long: more tries would only get the user locked out. */
const REFUSED_MS = MINUTE_MS;

interface Ticket {
  readonly value: string;
  readonly csrf: string;
  /** When it was asked for, so no later than it was made. */
  readonly at: number;
}

/** Logs in when the first call comes. Nothing is kept on disk: every run logs in anew. */
export function createTicketLogin(
  { user, password }: { readonly user: string; readonly password: string },
  { cluster, transport, timeoutMs, clock }: LoginOptions,
): Login {
  let held: Ticket | null = null;
  let refusal: { readonly at: number; readonly error: RequestError } | null = null;
  const attempts = new Map<string, Promise<Ticket>>();
  const closing = new AbortController();

  function valid(): Ticket | null {
    const age = held === null ? NaN : clock.now() - held.at;
    // A clock that was set back: how old it is can't be said.
    return age >= 0 && age < LIFE_MS ? held : null;
  }

  /** Once per endpoint at a time. The password goes out only after the endpoint's certificate has been accepted. */
  function begin(endpoint: string): Promise<Ticket> {
    const known = attempts.get(endpoint);
    if (known !== undefined) return known;
    const made = logIn(endpoint)
      .then(
        (ticket) => {
          held = ticket;
          return ticket;
        },
        (error: unknown) => {
          if (isRefusal(error)) refusal = { at: clock.now(), error };
          throw error;
        },
      )
      .finally(() => attempts.delete(endpoint));
    attempts.set(endpoint, made);
    // Those who wait for it see its failure; a renewal is waited for by nobody.
    made.catch(() => undefined);
    return made;
  }

  async function logIn(endpoint: string): Promise<Ticket> {
    const old = valid();
    if (old !== null) {
      try {
        return await post(endpoint, old.value);
      } catch (error) {
        if (!isRefusal(error)) throw error;
      }
    }
    return post(endpoint, password);
  }

  async function post(endpoint: string, secret: string): Promise<Ticket> {
    const at = clock.now();
    const call: Call = {
      method: 'POST',
      path: '/access/ticket',
      params: { username: user, password: secret },
      what: `login as ${user}`,
      node: null,
    };
    try {
      const reply = await transport.send(endpoint, call, TicketReply, { timeoutMs, signal: closing.signal });
      if (reply.NeedTFA || /^PVE:!?tfa/.test(reply.ticket ?? '')) throw secondFactor(cluster, user);
      const { ticket: value, CSRFPreventionToken: csrf } = reply;
      if (value === undefined || csrf === undefined)
        throw new RequestError(`login as ${user}: the answer of ${endpoint} holds no ticket`, {
          failure: 'answer',
          outcome: 'refused',
        });
      registerSecret(value);
      registerSecret(csrf);
      return { value, csrf, at };
    } catch (error) {
      throw error instanceof RequestError && error.status === 401
        ? wrongPassword(cluster, user, error)
        : error;
    }
  }

  /** The first ticket that any endpoint gives; rejects when this endpoint fails, or the password is refused by any. */
  async function obtain(endpoint: string): Promise<Ticket> {
    const others = [...attempts].filter(([other]) => other !== endpoint).map(([, attempt]) => attempt);
    // Never settles by another endpoint's trouble.
    const elsewhere = others.map((attempt) =>
      attempt.catch((error: unknown) => {
        if (isRefusal(error)) throw error;
        return new Promise<never>(() => undefined);
      }),
    );
    if (others.length > 0 && !attempts.has(endpoint)) {
      const lead = clock.sleep(LEAD_MS, closing.signal).then(
        () => null,
        () => null,
      );
      const early = await Promise.race([...elsewhere, Promise.allSettled(others).then(() => null), lead]);
      if (early !== null) return early;
    }
    return Promise.race([valid() ?? begin(endpoint), ...elsewhere]);
  }

  /** A ticket for this call. @throws RequestError: the call itself was not sent */
  async function ticketFor(
    endpoint: string,
    call: Call,
    limitMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Ticket> {
    const known = valid();
    if (known !== null) {
      if (clock.now() - known.at >= RENEW_MS && !refusedLately()) void begin(endpoint);
      return known;
    }
    try {
      if (refusal !== null && refusedLately()) throw refusal.error;
      return await withDeadline(clock, limitMs, signal, () => obtain(endpoint));
    } catch (error) {
      throw notSent(error, call, endpoint, limitMs, signal);
    }
  }

  function refusedLately(): boolean {
    return refusal !== null && Math.abs(clock.now() - refusal.at) < REFUSED_MS;
  }

  function notSent(
    error: unknown,
    call: Call,
    endpoint: string,
    limitMs: number,
    signal: AbortSignal | undefined,
  ): unknown {
    const fail = (message: string, failure: RequestError['failure'], hint?: string): RequestError =>
      new RequestError(message, { failure, outcome: 'not-sent', login: true, hint, cause: error });
    if (signal?.aborted === true)
      return fail(`${call.what}: given up (${abortReason(signal).message})`, 'aborted');
    if (error instanceof DeadlineError)
      return fail(
        `${call.what}: login as ${user}: ${endpoint} of cluster ${cluster} gave no ticket within ${limitMs} ms`,
        'timeout',
      );
    if (!(error instanceof RequestError)) return error;
    if (error.failure === 'auth') return fail(error.message, 'auth', error.hint);
    // Whatever else kept this endpoint from giving one, another may.
    const failure = isNetworkFailure(error) ? error.failure : 'network';
    return fail(`${call.what}: ${error.message}`, failure, error.hint);
  }

  return {
    async send(endpoint, call, schema, callOptions: CallOptions = {}) {
      const end = clock.now() + (callOptions.timeoutMs ?? timeoutMs);
      const left = (): number => Math.max(1, end - clock.now());
      const before = held;
      const sendWith = (ticket: Ticket) =>
        transport.send(endpoint, call, schema, {
          ...callOptions,
          timeoutMs: left(),
          headers: headersOf(ticket, call),
        });
      const ticket = await ticketFor(endpoint, call, left(), callOptions.signal);
      try {
        return await sendWith(ticket);
      } catch (error) {
        if (!(error instanceof RequestError) || error.status !== 401) throw error;
        // It ended early: the password was changed, or a node's clock differs. The next call gets a new one.
        if (held === ticket) held = null;
        // A 401 says that nothing was carried out, so asking again is safe; with a ticket that is new already it is
        // useless. A write is not repeated all the same: the 401 took three seconds and a login takes its own, and
        // what the write rests on (a start: reads of the last ten seconds, the lease) was checked before them.
        if (call.method !== 'GET' || ticket !== before) throw error;
        return sendWith(await ticketFor(endpoint, call, left(), callOptions.signal));
      }
    },
    close: () => closing.abort(new Error('the client is closed')),
  };
}

/** A cookie's value is decoded by the server: a ticket has `+`, `/` and `=` in it. */
function headersOf({ value, csrf }: Ticket, { method }: Call): Record<string, string> {
  const cookie = `PVEAuthCookie=${encodeURIComponent(value)}`;
  return method === 'GET' ? { cookie } : { cookie, csrfpreventiontoken: csrf };
}

/** The credentials won't do, at any endpoint. */
function isRefusal(error: unknown): error is RequestError {
  return error instanceof RequestError && error.failure === 'auth';
}

function wrongPassword(cluster: string, user: string, error: RequestError): RequestError {
  const said = error.raw === '' ? '401' : error.raw;
  return new RequestError(
    `the API of cluster ${cluster} refuses the password of ${user} (${said}): check that the user exists in that realm, is not expired or disabled, and that the password is the one given`,
    {
      failure: 'auth',
      outcome: 'refused',
      status: 401,
      raw: error.raw,
      hint: `pveum user list, and pveum passwd ${user} (realm pam: passwd on the node)`,
    },
  );
}

function secondFactor(cluster: string, user: string): RequestError {
  return new RequestError(
    `user ${user} of cluster ${cluster} logs in with a second factor (TFA), which nobody is there to give`,
    {
      failure: 'auth',
      outcome: 'refused',
      hint: `use an API token: pveum user token add ${user} proxwarden --privsep 0, and api.token in the inventory`,
    },
  );
}
