import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadInventory } from '../../lib/inventory/load.ts';
import { container, folder, HEAD, linesOf } from './folder.ts';

const SHELL = 'shell: { ssh: { port: 2222, key: file:/etc/pw/key, knownHosts: /etc/pw/known } }\n';

function failover(text: string, more = ''): string {
  return `${HEAD}${more}containers:\n${container('dns', 101, `    failover: { ${text} }\n`)}`;
}

test('where disks go, over which way, and what may be lost', (t) => {
  const text = failover(
    'restoreStorage: { rootfs: local-lvm, mp0: big }, restoreVia: shell, acceptLoss: [mp1, mp1, lxc.mount.entry]',
    SHELL,
  );
  const { containers, clusters } = loadInventory(folder(t, { 'a.yaml': text }), { env: {} });
  const { restoreStorage, mountStorage, restoreVia, acceptLoss } = containers['dns']?.failover ?? {};
  assert.deepEqual(
    { restoreStorage, mountStorage, restoreVia, acceptLoss },
    {
      restoreStorage: 'local-lvm',
      mountStorage: { mp0: 'big' },
      restoreVia: 'shell',
      acceptLoss: ['mp1', 'lxc.mount.entry'],
    },
  );
  assert.deepEqual(clusters['home']?.shell, {
    kind: 'ssh',
    user: 'root',
    port: 2222,
    key: '/etc/pw/key',
    knownHosts: '/etc/pw/known',
  });
});

test('the runner’s own shell; a container’s own storage replaces the whole of the inherited', (t) => {
  const text = failover('restoreStorage: fast', 'shell: local\n').replace(
    'restoreStorage: local-lvm',
    'restoreStorage: { rootfs: local-lvm, mp0: big }',
  );
  const { containers, clusters } = loadInventory(folder(t, { 'a.yaml': text }), { env: {} });
  assert.deepEqual(clusters['home']?.shell, { kind: 'local' });
  assert.equal(containers['dns']?.failover.restoreStorage, 'fast');
  assert.deepEqual(containers['dns']?.failover.mountStorage, {});
});

const WRONG: readonly (readonly [string, string, RegExp])[] = [
  [
    'a map without the root disk',
    failover('restoreStorage: { mp0: big }'),
    /names no storage for the root disk {2}add rootfs/,
  ],
  ['a mount point that is none', failover('restoreStorage: { rootfs: a1, mp: big }'), /restoreStorage/],
  [
    'the shell without one',
    failover('restoreVia: shell'),
    /restoreVia {2}needs a root shell on the nodes of home {2}add shell: /,
  ],
  [
    'lxc-stop without a shell',
    `${HEAD}nodes: { pve2: { orphans: stop } }\ncontainers:\n${container('dns', 101)}`,
    /nodes\.pve2\.orphans {2}needs a root shell/,
  ],
  [
    'a reboot of whichever node',
    `${HEAD}orphans: reboot\ncontainers:\n${container('dns', 101)}`,
    /orphans {2}reboot is said of a single node {2}write it under nodes/,
  ],
  ['a way that is none', failover('restoreVia: shel'), /did you mean shell\?/],
  ['a loss that is none', failover('acceptLoss: [rootfs]'), /must be a mount point, or lxc\.mount\.entry/],
  [
    'a key in the file itself',
    failover('auto: true', 'shell: { ssh: { key: "BEGIN KEY" } }\n'),
    /must be file: and an absolute path/,
  ],
  [
    'a user with an option in it',
    failover('auto: true', 'shell: { ssh: { user: "-oX" } }\n'),
    /must be a user/,
  ],
  ['another word', failover('auto: true', 'shell: remote\n'), /shell/],
];
for (const [what, text, wanted] of WRONG)
  test(`refused: ${what}`, (t) => {
    const lines = linesOf(t, text);
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.match(lines[0] ?? '', wanted);
    assert.doesNotMatch(lines[0] ?? '', /BEGIN KEY/);
  });
