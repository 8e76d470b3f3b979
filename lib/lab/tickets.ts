/**
 * Users who log in. Refusals are as recorded (recordings, 06). unmeasured: the answer to a good password, whose
 * fields are the schema's, and what is told of tickets below, which is Proxmox's code and documentation.
 */
import type { Caller } from './auth.ts';
import type { Core } from './core.ts';
import { ApiError } from './http.ts';
import type { Params } from './params.ts';
import type { UserSpec } from './types.ts';

const LIFE_MS = 7_200_000;
/** In every secret that the lab makes up, so that one that has leaked is recognised wherever it is. */
const MARK = 'LabTicket';

interface User {
  readonly spec: UserSpec;
  readonly caller: Caller;
}

/** The tickets of the cluster: each serves all nodes, for two hours. */
export class Tickets {
  readonly #core: Core;
  readonly #clusterName: string | null;
  readonly #users: ReadonlyMap<string, User>;
  /** By ticket. */
  readonly #issued = new Map<string, { readonly user: string; readonly at: number; readonly csrf: string }>();

  constructor(core: Core, clusterName: string | null, users: readonly User[]) {
    this.#core = core;
    this.#clusterName = clusterName;
    this.#users = new Map(users.map((user) => [user.spec.id, user]));
  }

  /** POST /access/ticket. A ticket that holds is as good as the password. */
  issue(params: Params): unknown {
    const realm = params.text('realm');
    const name = params.must('username') + (realm === undefined ? '' : `@${realm}`);
    const user = this.#users.get(name);
    const password = params.must('password');
    const holder = this.#holds(password);
    const renewed = holder !== null && (holder === name || holder === 'root@pam');
    if (user === undefined || user.spec.disabled === true || !(renewed || user.spec.password === password))
      throw failed();
    const path = params.text('path');
    if (path !== undefined) {
      const wanted = (params.text('privs') ?? '').split(/[,; ]+/);
      if (!wanted.every((privilege) => user.caller.may(path, privilege))) throw failed();
      return { username: name };
    }
    const half = user.spec.secondFactor === true && !renewed;
    const stamp = this.#core.seconds().toString(16).toUpperCase();
    const sign = (): string => MARK + Buffer.from(this.#core.randomHex(40), 'hex').toString('base64');
    const ticket = `PVE:${half ? `!tfa!${encodeURIComponent('{"totp":true}')}` : name}:${stamp}::${sign()}`;
    const csrf = `${stamp}:${sign()}`;
    if (!half) this.#issued.set(ticket, { user: name, at: this.#core.now(), csrf });
    return {
      username: name,
      ticket,
      CSRFPreventionToken: csrf,
      ...(this.#clusterName === null ? {} : { clustername: this.#clusterName }),
      ...(half ? { NeedTFA: 1 } : {}),
    };
  }

  /** Who comes with this ticket; a write needs the token against forged requests, too. Throws 401. */
  verify(ticket: string, method: string, csrf: string | undefined): Caller {
    const name = this.#holds(ticket);
    const user = name === null ? undefined : this.#users.get(name);
    if (user === undefined || user.spec.disabled === true)
      throw new ApiError(401, 'Authentication failed!', { body: 'empty' });
    if (method !== 'GET' && !this.#mayWrite(user.spec.id, csrf))
      throw new ApiError(401, 'Permission denied - invalid csrf token', { body: 'empty' });
    return user.caller;
  }

  /** The user whose ticket this is; null when it is none, or has ended. */
  #holds(ticket: string): string | null {
    const issued = this.#issued.get(ticket);
    return issued === undefined || this.#core.since(issued.at) >= LIFE_MS ? null : issued.user;
  }

  /** Any of the user's tokens will do, not only that of the ticket. */
  #mayWrite(name: string, csrf: string | undefined): boolean {
    return [...this.#issued].some(
      ([ticket, one]) => one.csrf === csrf && one.user === name && this.#holds(ticket) !== null,
    );
  }
}

/** The only 401 with a body. */
function failed(): ApiError {
  return new ApiError(401, 'authentication failure');
}
