import type { Core } from './core.ts';
import { ApiError, denied } from './http.ts';
import type { Params } from './params.ts';
import { Tickets } from './tickets.ts';
import type { LabRequest, TokenSpec, WorldSpec } from './types.ts';

/** Who calls, by a token or as a user, and what they may do where. */
export class Caller {
  /** `proxwarden@pve!cli`, or the user: the user part of UPIDs. */
  readonly id: string;
  readonly #about: { readonly expire: number; readonly privsep: 0 | 1 };
  readonly #acl: ReadonlyMap<string, ReadonlySet<string>>;
  constructor(spec: Omit<TokenSpec, 'secret'>) {
    this.id = spec.id;
    this.#about = { expire: spec.expire ?? 0, privsep: spec.privsep === false ? 0 : 1 };
    this.#acl = new Map(Object.entries(spec.privileges).map(([path, names]) => [path, new Set(names)]));
  }

  /** `proxwarden@pve` */
  get user(): string {
    return this.id.split('!')[0] ?? this.id;
  }

  /** What it may do at `path`: the nearest entry above it counts, deeper ones replace it, as Proxmox's do. */
  privilegesAt(path: string): ReadonlySet<string> {
    let at = path;
    for (;;) {
      const found = this.#acl.get(at);
      if (found !== undefined) return found;
      if (at === '/' || at === '') return new Set();
      at = at.slice(0, at.lastIndexOf('/')) || '/';
    }
  }

  may(path: string, privilege: string): boolean {
    const names = this.privilegesAt(path);
    return names.has('*') || names.has(privilege);
  }

  mayAny(path: string, privileges: readonly string[]): boolean {
    return privileges.some((privilege) => this.may(path, privilege));
  }

  /** Itself, as GET /access/users/{userid}/token/{tokenid} shows it. */
  get about(): { readonly expire: number; readonly privsep: 0 | 1 } {
    return this.#about;
  }

  /** Throws a 403 unless it has one of `privileges` at `path`. */
  demand(path: string, ...privileges: string[]): void {
    if (!this.mayAny(path, privileges)) throw denied(path, privileges.join('|'));
  }

  /** GET /access/permissions: the paths that Proxmox always lists, and those with an entry of their own. */
  permissions(only?: string): Record<string, Record<string, number>> {
    const paths = only === undefined ? [...STANDARD_PATHS, ...this.#acl.keys()] : [only];
    const listed = [...new Set(paths)].flatMap((path) => {
      const names = this.privilegesAt(path);
      const all = names.has('*') ? ALL_PRIVILEGES : [...names];
      return all.length === 0 ? [] : [[path, Object.fromEntries(all.map((name) => [name, 1]))] as const];
    });
    return Object.fromEntries(listed);
  }
}

const STANDARD_PATHS = ['/', '/access', '/access/groups', '/nodes', '/pool', '/sdn', '/storage', '/vms'];

/** The privileges of the role Administrator in 8.4. */
const ALL_PRIVILEGES =
  'Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit Group.Allocate Mapping.Audit Mapping.Modify Mapping.Use Permissions.Modify Pool.Allocate Pool.Audit Realm.Allocate Realm.AllocateUser SDN.Allocate SDN.Audit SDN.Use Sys.AccessNetwork Sys.Audit Sys.Console Sys.Incoming Sys.Modify Sys.PowerMgmt Sys.Syslog User.Modify VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM VM.Config.CPU VM.Config.Cloudinit VM.Config.Disk VM.Config.HWType VM.Config.Memory VM.Config.Network VM.Config.Options VM.Console VM.Migrate VM.Monitor VM.PowerMgmt VM.Snapshot VM.Snapshot.Rollback'.split(
    ' ',
  );

/** The tokens and users of the cluster. */
export class Auth {
  readonly #tokens: ReadonlyMap<string, { secret: string; caller: Caller }>;
  readonly #tickets: Tickets;
  constructor(core: Core, { tokens, users = [], cluster }: WorldSpec) {
    this.#tokens = new Map(
      tokens.map((spec) => [spec.id, { secret: spec.secret, caller: new Caller(spec) }]),
    );
    this.#tickets = new Tickets(
      core,
      cluster,
      users.map((spec) => ({ spec, caller: new Caller(spec) })),
    );
  }

  /** POST /access/ticket. */
  logIn(params: Params): unknown {
    return this.#tickets.issue(params);
  }

  /** Throws the 401s of Proxmox, which have no body and come after three seconds (the caller waits). A cookie wins. */
  authenticate({ headers, method }: LabRequest): Caller {
    const ticket = /(?:^|[;\s])PVEAuthCookie=([^;]+)/.exec(headers['cookie'] ?? '')?.[1];
    if (ticket !== undefined)
      return this.#tickets.verify(unescaped(ticket), method, headers['csrfpreventiontoken']);
    const header = headers['authorization'];
    const match = /^PVEAPIToken(?:=| )(\S+?)=(\S+)$/.exec(header ?? '');
    if (match?.[1] === undefined) {
      const foreign = header === undefined || !/^PVEAPIToken[= ]\S/.test(header);
      throw new ApiError(401, foreign ? 'No ticket' : 'Authentication failed!', { body: 'empty' });
    }
    const token = this.#tokens.get(match[1]);
    if (token === undefined || token.secret !== match[2])
      throw new ApiError(401, 'Authentication failed!', { body: 'empty' });
    return token.caller;
  }
}

/** As Perl's uri_unescape: what is no escape stays as it is. */
function unescaped(text: string): string {
  return text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}
