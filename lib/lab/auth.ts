import { ApiError, denied } from './http.ts';
import type { TokenSpec } from './types.ts';

/** Who calls: the token, and what it may do where. */
export class Caller {
  /** `proxwarden@pve!cli`: the user part of UPIDs. */
  readonly id: string;
  readonly #about: { readonly expire: number; readonly privsep: 0 | 1 };
  readonly #acl: ReadonlyMap<string, ReadonlySet<string>>;
  constructor(spec: TokenSpec) {
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

/** The tokens of the cluster. */
export class Auth {
  readonly #tokens: ReadonlyMap<string, { secret: string; caller: Caller }>;
  constructor(tokens: readonly TokenSpec[]) {
    this.#tokens = new Map(
      tokens.map((spec) => [spec.id, { secret: spec.secret, caller: new Caller(spec) }]),
    );
  }

  /** Throws the 401s of Proxmox, which have no body and come after three seconds (the caller waits). */
  authenticate(header: string | undefined): Caller {
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
