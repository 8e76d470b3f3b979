/** The token: is it accepted, until when, and does it hold what a failover needs, path by path. Pure. */
import { formatDuration } from '../../units.ts';
import { nextVmid } from '../incarnations.ts';
import { guardWay } from '../guard.ts';
import type { Finding, Subject } from './facts.ts';
import { finding, listed, type ClusterLook, type Look } from './look.ts';
import { restoreStorages } from './places.ts';
import { ROLES, type Role } from '../../roles.ts';

const CONTAINERS = 'see, back up, stop and copy containers';
const SOON_MS = 30 * 86_400_000;

/** What no call of ours needs, and what a stolen token would be worth most for. */
const DANGEROUS = [
  'Permissions.Modify',
  'User.Modify',
  'Realm.Allocate',
  'Sys.Modify',
  'Sys.PowerMgmt',
  'VM.Console',
  'VM.Monitor',
  'Datastore.Allocate',
];

interface Need {
  readonly path: string;
  readonly role: Role;
  readonly privileges: readonly string[];
  /** Where the role is to be given: the path itself or one above it. */
  readonly grantAt: string;
  readonly purpose: string;
}

export type Privileges = Readonly<Record<string, Readonly<Record<string, boolean>>>>;

/** Paths that PVE lists whenever anything is held there. */
const STANDARD = '/ /access /access/groups /nodes /pool /sdn /storage /vms'.split(' ');

/** What is held at a path: as listed, or what the nearest listed path above it hands down. */
export function heldAt(privileges: Privileges, path: string): ReadonlySet<string> {
  const own = privileges[path];
  if (own !== undefined) return new Set(Object.keys(own));
  let above = path;
  while (above !== '/' && above !== '') {
    above = above.slice(0, above.lastIndexOf('/')) || '/';
    const there = privileges[above];
    if (there !== undefined) return new Set(Object.keys(there).filter((name) => there[name] === true));
    // Not listed although it always is when something is held: an entry without any rights.
    if (STANDARD.includes(above)) return new Set();
  }
  return new Set();
}

export function checkRights(look: Look): Finding[] {
  return look.clusters.flatMap((cluster) => {
    const { facts } = cluster;
    const about: Subject = { cluster: cluster.name, kind: 'credential', name: facts.tokenId ?? 'token' };
    if (facts.credentialProblem !== null)
      return [
        finding(
          'credential-unusable',
          'fail',
          about,
          facts.credentialProblem.text,
          facts.credentialProblem.fix,
        ),
      ];
    const refused = facts.endpoints.find((e) => e.failure === 'auth');
    if (refused !== undefined && facts.privileges === null)
      return [
        finding('token-refused', 'fail', about, refused.error ?? 'the API refuses it', null, [
          facts.tokenId?.includes('!') === false
            ? 'pveum user list'
            : `pveum user token list ${userOf(facts.tokenId)}`,
        ]),
      ];
    return [...expiry(cluster, look.facts.at, about), ...missing(cluster, about), ...excess(cluster, about)];
  });
}

function userOf(tokenId: string | null): string {
  return tokenId?.split('!')[0] ?? 'USER';
}

function expiry({ facts }: ClusterLook, now: number, about: Subject): Finding[] {
  const left = facts.token?.expires == null ? Infinity : facts.token.expires - now;
  if (left > SOON_MS) return [];
  const [user = '', name = ''] = (facts.tokenId ?? '').split('!');
  return [
    finding('token-expires', 'warn', about, `it expires in ${formatDuration(left)}`, 'give it more time:', [
      `pveum user token modify ${user} ${name} --expire 0`,
    ]),
  ];
}

function missing(cluster: ClusterLook, about: Subject): Finding[] {
  const { privileges, tokenId } = cluster.facts;
  if (privileges === null) return [];
  const lacking = needs(cluster)
    .map((need) => ({
      ...need,
      privileges: need.privileges.filter((p) => !heldAt(privileges, need.path).has(p)),
    }))
    .filter((need) => need.privileges.length > 0);
  const groups = new Map<string, (typeof lacking)[number][]>();
  for (const need of lacking) {
    const key = `${need.role} ${need.grantAt} ${need.privileges.join(' ')}`;
    groups.set(key, [...(groups.get(key) ?? []), need]);
  }
  return [...groups.values()].flatMap((needing): Finding[] => {
    const [first] = needing;
    if (first === undefined) return [];
    const all = needs(cluster).filter((n) => n.role === first.role && n.grantAt === first.grantAt);
    // Where it lacks it everywhere below, the place to grant it says it all.
    const paths = needing.length === all.length ? [first.grantAt] : [...new Set(needing.map((n) => n.path))];
    return [
      finding(
        'privilege-missing',
        'fail',
        about,
        `it lacks ${listed(first.privileges)} on ${listed(paths)}, needed to ${first.purpose}`,
        'a token has what it and its user both have, so this gives it to both:',
        [...roleLine(first.role), grant(first, tokenId)],
      ),
    ];
  });
}

function roleLine(role: Role): string[] {
  return role === 'PVESDNUser'
    ? []
    : [`pveum role add ${role} --privs "${ROLES[role].join(' ')}"   # unless it is there`];
}

function grant({ role, grantAt }: Need, tokenId: string | null): string {
  const token = tokenId?.includes('!') === true ? ` --tokens '${tokenId}'` : '';
  // Without propagation it is a right to HA entries, and gives nobody a shell.
  const narrow = role === 'ProxWardenGuard' ? ' --propagate 0' : '';
  return `pveum acl modify ${grantAt} --users ${userOf(tokenId)}${token} --roles ${role}${narrow}`;
}

/** What the inventory's containers, storages and nodes need (facts, section 5). */
export function needs(cluster: ClusterLook): Need[] {
  const { view, facts } = cluster;
  const guarded = cluster.containers.filter((c) => c.isProtected);
  const need = (
    path: string,
    role: Role,
    purpose: string,
    grantAt = path,
    only?: readonly string[],
  ): Need => ({
    path,
    role,
    privileges: only ?? ROLES[role],
    grantAt,
    purpose,
  });
  const found = [
    need('/', 'ProxWardenSee', 'see the cluster, its nodes and its tasks'),
    ...facts.nodes.map((n) =>
      need(`/nodes/${n.name}`, 'ProxWardenSee', 'see the cluster, its nodes and its tasks', '/'),
    ),
  ];
  if (
    view !== null &&
    !view.standalone &&
    guardWay(view) === 'group' &&
    guarded.some(
      ({ container: { failover } }) =>
        failover.returnRisk === 'refused' && failover.identity === 'new-vmid' && failover.autostart === 'pve',
    )
  )
    found.push(
      need(
        '/',
        'ProxWardenGuard',
        'keep a dead node’s original from starting when it returns (or set failover.returnRisk: accepted)',
      ),
    );
  for (const { container, at, isProtected } of cluster.containers) {
    const vmid = at?.vmid ?? container.vmid;
    found.push(
      need(
        `/vms/${vmid}`,
        'ProxWarden',
        isProtected ? CONTAINERS : 'see it',
        '/vms',
        isProtected ? undefined : ['VM.Audit'],
      ),
    );
    // A copy's vmid is in no pool and has no entry of its own: only what /vms hands down counts.
    if (isProtected)
      found.push(
        need(
          `/vms/${nextVmid(container, at ?? container, (at?.epoch ?? 0) + 1)}`,
          'ProxWarden',
          CONTAINERS,
          '/vms',
        ),
      );
    found.push(
      need(`/storage/${container.backup.storage}`, 'ProxWardenStore', 'list, make and read backups'),
      ...(isProtected
        ? restoreStorages(container).map((id) => need(`/storage/${id}`, 'ProxWardenStore', 'restore to it'))
        : []),
    );
  }
  const bridges = new Set(guarded.flatMap((c) => c.backups[0]?.archived?.bridges ?? []));
  // Own bridges are in the zone localnetwork; a vnet's zone is not known from its name.
  for (const bridge of bridges)
    if (/^vmbr\d+$/.test(bridge))
      found.push(
        need(
          `/sdn/zones/localnetwork/${bridge}`,
          'PVESDNUser',
          'connect a copy to its network',
          '/sdn/zones/localnetwork',
        ),
      );
  return [...new Map(found.map((n) => [`${n.path} ${n.role} ${n.purpose}`, n])).values()];
}

function excess(cluster: ClusterLook, about: Subject): Finding[] {
  const { privileges, tokenId } = cluster.facts;
  if (privileges === null) return [];
  const everywhere = STANDARD.flatMap((path) => [...heldAt(privileges, path)]);
  const more = DANGEROUS.filter((name) => everywhere.includes(name));
  if (more.length === 0) return [];
  return [
    finding(
      'privilege-excess',
      'note',
      about,
      `${userOf(tokenId) === 'root@pam' ? 'it is a token of root@pam and ' : 'it '}may do more than it needs: ${listed(more)}`,
      'a token of its own user with the roles of the README (step 1) would be worth less to a thief',
    ),
  ];
}
