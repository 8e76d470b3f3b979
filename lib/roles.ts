/** The roles of the README, and which of them is the smallest that holds a privilege. */

/** Least privilege; PVESDNUser, PVEVMAdmin and PVEDatastoreAdmin come with Proxmox VE. */
export const ROLES = {
  ProxWardenSee: ['Sys.Audit'],
  ProxWardenGuard: ['Sys.Console'],
  ProxWarden: ['VM.Audit', 'VM.Backup', 'VM.PowerMgmt', 'VM.Config.Options', 'VM.Allocate'],
  ProxWardenStore: ['Datastore.Audit', 'Datastore.AllocateSpace'],
  PVESDNUser: ['SDN.Use'],
} as const;
export type Role = keyof typeof ROLES;

/**
 * The command that gives a privilege at a path to whoever asked: to the user, and to its token, which has only what both
 * have. It is given where the README gives it: an entry further down would replace what is inherited. `anyOf`: one is
 * enough.
 */
export function grantLine(path: string, anyOf: readonly string[], who: string): string {
  const ours = Object.entries(ROLES).flatMap(([role, held]) => {
    const privilege = anyOf.find((name) => held.some((one) => one === name));
    return privilege === undefined ? [] : [{ role, privilege }];
  })[0];
  const privilege = ours?.privilege ?? anyOf[0] ?? '';
  const role = ours?.role ?? BUILT_IN.find(([prefix]) => privilege.startsWith(prefix))?.[1];
  const [user = who] = who.split('!');
  const token = who === user ? '' : ` --tokens '${who}'`;
  const narrow = role === 'ProxWardenGuard' ? ' --propagate 0' : '';
  // What concerns the machine itself is in no role of Proxmox's own but Administrator.
  const made = role === undefined ? `pveum role add ProxWardenMore --privs ${privilege} && ` : '';
  const where = role?.startsWith('ProxWarden') === true ? ' (its privileges: README, step 1)' : '';
  return `${made}pveum acl modify ${grantAt(path, privilege)} --users ${user}${token} --roles ${role ?? 'ProxWardenMore'}${narrow}${where}`;
}

/** The smallest of Proxmox's own that hold what we never ask for by ourselves. */
const BUILT_IN: readonly (readonly [prefix: string, role: string])[] = [
  ['VM.', 'PVEVMAdmin'],
  ['Datastore.', 'PVEDatastoreAdmin'],
  ['SDN.', 'PVESDNAdmin'],
];

function grantAt(path: string, privilege: string): string {
  if (privilege.startsWith('SDN.')) return path.split('/').slice(0, 4).join('/');
  if (privilege.startsWith('VM.') && path.startsWith('/vms')) return '/vms';
  return ROLES.ProxWardenSee.some((name) => name === privilege) ||
    ROLES.ProxWardenGuard.some((name) => name === privilege)
    ? '/'
    : path;
}
