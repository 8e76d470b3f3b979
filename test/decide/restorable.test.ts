import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArchivedConfig, Bridge, Mount } from '../../lib/decide/guest-config.ts';
import { restoreIssues, restoreTarget, type RestoreTarget } from '../../lib/decide/restorable.ts';
import { mountsToName } from '../../lib/decide/restore-mounts.ts';
import type { Container } from '../../lib/inventory/types.ts';
import { configOf, containerOf, GIB } from './parts.ts';
import { world } from './world.ts';

const VMBR0: Bridge = { name: 'vmbr0', vlanAware: false, hasPort: true, vids: null };

function targetOf(patch: Partial<RestoreTarget> = {}): RestoreTarget {
  const seen = restoreTarget(world().view, 'pve2');
  return { ...seen, bridges: [VMBR0], machine: 'x86_64', maySysModify: false, mayNameDisks: true, ...patch };
}

function mountOf(patch: Partial<Mount> = {}): Mount {
  return {
    key: 'mp0',
    kind: 'volume',
    source: 'local:101/vm-101-disk-1.raw',
    path: '/data',
    bytes: GIB,
    backup: true,
    options: {},
    ...patch,
  };
}

const BIND = mountOf({ kind: 'bind', source: '/srv/data', bytes: null, backup: false });
const UNSAVED = mountOf({ backup: false });
const ROOT = mountOf({ key: 'rootfs', path: '/', bytes: 8 * GIB });

interface Row {
  readonly archived?: Partial<ArchivedConfig>;
  readonly mounts?: readonly Mount[];
  readonly failover?: Partial<Container['failover']>;
  readonly target?: Partial<RestoreTarget>;
}

function issuesOf({ archived = {}, mounts, failover = {}, target = {} }: Row): string[] {
  const config = configOf({ ...archived, ...(mounts === undefined ? {} : { mounts: [ROOT, ...mounts] }) });
  return restoreIssues(containerOf({ failover }), config, targetOf(target)).map(
    ({ severity, what, fix }) => `${severity}: ${what}${fix === null ? '' : ` — ${fix}`}`,
  );
}

const net = (patch: Partial<ArchivedConfig['nets'][number]>) => ({
  archived: { nets: [{ key: 'net0', bridge: 'vmbr0', tag: null, trunks: null, ...patch }] },
});
const bridge = (patch: Partial<Bridge>) => ({ target: { bridges: [{ ...VMBR0, ...patch }] } });

const NOTHING: readonly (readonly [string, Row])[] = [
  ['an ordinary container', {}],
  ['protection: the undo lifts it', { archived: { protection: true } }],
  ['another disk of its own, in the backup', { mounts: [mountOf()] }],
  ['a privileged one with the right', { archived: { privileged: true }, target: { maySysModify: true } }],
  ['a privileged one, the right unknown', { archived: { privileged: true }, target: { maySysModify: null } }],
  ['a privileged one by the shell', { archived: { privileged: true }, failover: { restoreVia: 'shell' } }],
  [
    'raw lines by the shell',
    { archived: { raw: [{ key: 'lxc.idmap', value: 'u' }] }, failover: { restoreVia: 'shell' } },
  ],
  ['features by the shell', { archived: { features: ['keyctl'] }, failover: { restoreVia: 'shell' } }],
  ['bridges that were not read', { ...net({ bridge: 'vmbr9' }), target: { bridges: null } }],
  ['a net without a bridge', net({ bridge: null })],
  ['a VLAN on a plain bridge with a port', net({ tag: 50 })],
  ['a VLAN on a plain bridge, its ports unknown', { ...net({ tag: 50 }), ...bridge({ hasPort: null }) }],
  [
    'a VLAN that an aware bridge lets through',
    { ...net({ tag: 50 }), ...bridge({ vlanAware: true, vids: '2 40-60' }) },
  ],
  ['trunks on an aware bridge', { ...net({ trunks: '2;4' }), ...bridge({ vlanAware: true }) }],
  ['an unknown processor', { archived: { arch: 'arm64' }, target: { machine: 'sparc' } }],
  ['no processor read', { archived: { arch: 'arm64' }, target: { machine: null } }],
  ['memory unknown', { target: { memory: { total: null, used: 1, promised: 0 } } }],
];
for (const [name, row] of NOTHING) test(`no issue: ${name}`, () => assert.deepEqual(issuesOf(row), []));

const ISSUES: readonly (readonly [string, Row, RegExp])[] = [
  ['a template', { archived: { template: true } }, /^blocks: it is a template/],
  [
    'a privileged one without the right',
    { archived: { privileged: true } },
    /^blocks: it is a privileged container.*Sys\.Modify on \/ — failover\.restoreVia: shell/,
  ],
  [
    'a bind mount with a token',
    { mounts: [BIND] },
    /^blocks: mp0 \(\/data\) is a bind mount of the node's \/srv\/data, which no backup holds and a token cannot restore — failover\.restoreVia: shell; failover\.acceptLoss: \[mp0\] accepts it$/,
  ],
  [
    'a bind mount with a token, accepted: left out',
    { mounts: [BIND], failover: { acceptLoss: ['mp0'] } },
    /^loses: .*the copy comes up without it$/,
  ],
  [
    'a bind mount by the shell',
    { mounts: [BIND], failover: { restoreVia: 'shell' } },
    /^blocks: .*the copy gets what is there on its own node — have the same data at \/srv\/data of every node/,
  ],
  [
    'a bind mount by the shell, accepted',
    { mounts: [BIND], failover: { restoreVia: 'shell', acceptLoss: ['mp0'] } },
    /^loses: .*the copy gets what is there on its own node$/,
  ],
  [
    'a device mount',
    { mounts: [mountOf({ kind: 'device', source: '/dev/sdb', backup: false })] },
    /^blocks: mp0 \(\/data\) is the node's device \/dev\/sdb/,
  ],
  [
    'a volume that backups leave out',
    { mounts: [UNSAVED] },
    /^blocks: mp0 \(\/data\) is left out of backups: the copy gets an empty disk there — set backup=1 on mp0/,
  ],
  [
    'the same, accepted',
    { mounts: [UNSAVED], failover: { acceptLoss: ['mp0'] } },
    /^loses: mp0 \(\/data\) is left out of backups: the copy gets an empty disk there$/,
  ],
  ['another mount point accepted', { mounts: [UNSAVED], failover: { acceptLoss: ['mp1'] } }, /^blocks: mp0/],
  [
    'a disk without a size',
    { mounts: [mountOf({ bytes: null })] },
    /^blocks: mp0 \(\/data\) has no size.*pct rescan --vmid 101/,
  ],
  [
    'a root disk that is a folder of the node',
    { archived: { mounts: [{ ...BIND, key: 'rootfs' }] } },
    /^blocks: its root disk is a bind mount/,
  ],
  [
    'raw lines with a token',
    {
      archived: {
        raw: [
          { key: 'lxc.idmap', value: 'u' },
          { key: 'lxc.idmap', value: 'g' },
        ],
      },
    },
    /^loses: the raw line lxc\.idmap is dropped when a token restores — failover\.restoreVia: shell keeps them$/,
  ],
  [
    'data bound by a raw line, by the shell',
    {
      archived: { raw: [{ key: 'lxc.mount.entry', value: '/srv/x srv none bind' }] },
      failover: { restoreVia: 'shell' },
    },
    /^blocks: the raw line lxc\.mount\.entry binds the node's \/srv\/x.*acceptLoss: \[lxc\.mount\.entry\]/,
  ],
  [
    'features and devices with a token',
    { archived: { features: ['nesting', 'keyctl'], devices: [{ key: 'dev0', path: '/dev/dri/card0' }] } },
    /^loses: feature keyctl, dev0 \(\/dev\/dri\/card0\) can only be set by root/,
  ],
  [
    'a hookscript by the shell',
    { archived: { hookscript: 'local:snippets/h.sh' }, failover: { restoreVia: 'shell' } },
    /^loses: it starts only if pve2 has the hookscript local:snippets\/h\.sh/,
  ],
  [
    'no such bridge',
    net({ bridge: 'vmbr9' }),
    /^blocks: there is no bridge vmbr9 for net0 — make vmbr9 on pve2/,
  ],
  ['perhaps a vnet', net({ bridge: 'lan50' }), /^loses: net0 is on lan50, which pve2 does not list/],
  [
    'a VLAN on a plain bridge without a port',
    { ...net({ tag: 50 }), ...bridge({ hasPort: false }) },
    /^blocks: vmbr0 is not VLAN aware and has no port, so net0 cannot have VLAN 50/,
  ],
  [
    'a VLAN that the bridge bars',
    { ...net({ tag: 50 }), ...bridge({ vlanAware: true, vids: '2-4,60' }) },
    /^blocks: vmbr0 does not let VLAN 50 of net0 through/,
  ],
  [
    'trunks on a plain bridge',
    net({ trunks: '2;4' }),
    /^blocks: vmbr0 is not VLAN aware, and net0 has trunks/,
  ],
  [
    'another processor',
    { archived: { arch: 'arm64' } },
    /^blocks: its processor \(x86_64\) does not run arm64 containers/,
  ],
  [
    'too little memory',
    { target: { memory: { total: 2 * GIB, used: 1.5 * GIB, promised: 0 } } },
    /^blocks: it has 512 MiB of memory free, the container needs 1 GiB/,
  ],
  ['no storage', { failover: { restoreStorage: 'gone' } }, /^blocks: storage gone is not there/],
  [
    'a storage for backups only',
    { failover: { restoreStorage: 'nas' } },
    /^blocks: storage nas does not take container disks \(no rootdir content\) — `pvesm set nas --content backup,rootdir`/,
  ],
  [
    'the storage of one mount point',
    { mounts: [mountOf()], failover: { mountStorage: { mp0: 'gone' } } },
    /^blocks: storage gone is not there/,
  ],
  [
    'room for each disk, not for both',
    { mounts: [mountOf({ bytes: 93 * GIB })] },
    /^blocks: storage local has 100 GiB free, the container needs 101 GiB/,
  ],
];
for (const [name, row, wanted] of ISSUES)
  test(`an issue: ${name}`, () => {
    const issues = issuesOf(row);
    assert.equal(issues.length, 1, issues.join('\n'));
    assert.match(issues[0] ?? '', wanted);
  });

test('a token names disks only with VM.Config.Disk', () => {
  const row = { mounts: [BIND], target: { mayNameDisks: false } };
  assert.match(
    issuesOf({ ...row, failover: { acceptLoss: ['mp0'] } })[0] ?? '',
    /^blocks: .*VM\.Config\.Disk on \/vms/,
  );
  assert.equal(issuesOf(row).length, 1, 'what bars the bind mount is enough');
  assert.equal(issuesOf({ ...row, failover: { acceptLoss: ['mp0'], restoreVia: 'shell' } }).length, 1);
});

test('raw lines that bind data are dropped, and that is a loss to accept', () => {
  const raw = [{ key: 'lxc.mount.entry', value: '/srv/x srv none bind' }];
  assert.match(issuesOf({ archived: { raw } })[0] ?? '', /^blocks: .*a token does not restore/);
  const accepted = issuesOf({ archived: { raw }, failover: { acceptLoss: ['lxc.mount.entry'] } });
  assert.deepEqual(
    accepted.map((issue) => issue.split(':')[0]),
    ['loses', 'loses'],
  );
  for (const value of ['/dev/dri dev/dri none bind', '/sys/fs/fuse sys none bind', 'tmpfs tmp tmpfs'])
    assert.equal(issuesOf({ archived: { raw: [{ key: 'lxc.mount.entry', value }] } }).length, 1, value);
});

test('what a restore call names: nothing, unless disks go to several storages or something is left out', () => {
  const failover = { restoreStorage: 'local', mountStorage: {}, restoreVia: 'api' } as const;
  const data = mountOf({ options: { acl: '1' }, bytes: GIB / 4 });
  assert.equal(mountsToName(failover, { mounts: [ROOT, data] }), null);
  assert.equal(mountsToName({ ...failover, mountStorage: { mp7: 'big' } }, { mounts: [ROOT, data] }), null);
  assert.deepEqual(mountsToName({ ...failover, mountStorage: { mp0: 'big' } }, { mounts: [ROOT, data] }), {
    rootfs: 'local:8',
    mp0: 'big:0.25,mp=/data,backup=1,acl=1',
  });
  const bind = { ...BIND, key: 'mp1', path: '/srv', options: { ro: '1' } };
  assert.deepEqual(mountsToName(failover, { mounts: [ROOT, UNSAVED, bind] }), {
    rootfs: 'local:8',
    mp0: 'local:1,mp=/data',
  });
  assert.equal(mountsToName({ ...failover, restoreVia: 'shell' }, { mounts: [ROOT, bind] }), null);
  assert.deepEqual(
    mountsToName(
      { ...failover, restoreVia: 'shell', mountStorage: { mp0: 'big' } },
      { mounts: [ROOT, data, bind] },
    ),
    { rootfs: 'local:8', mp0: 'big:0.25,mp=/data,backup=1,acl=1', mp1: '/srv/data,mp=/srv,ro=1' },
  );
});
