import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withHome } from '../../lib/inventory/record-home.ts';

test('a home is written beside the vmid, or in place of the old one, and nothing else changes', () => {
  const around = (entry: string): string =>
    `cluster: home  # ours\ncontainers:\n${entry}\n  db: { vmid: 102 }\n`;
  for (const [before, after] of [
    [
      '  web:\n    # why\n    vmid:   101 # mine\n    nodes: [pve2]',
      '  web:\n    # why\n    vmid:   101 # mine\n    home: pve2\n    nodes: [pve2]',
    ],
    ['  web: { vmid: 101, nodes: [pve2] }', '  web: { vmid: 101, home: pve2, nodes: [pve2] }'],
    ["  web:\n    vmid: 101\n    home: 'pve1' # old", '  web:\n    vmid: 101\n    home: pve2 # old'],
    ['  web: { home: pve1, vmid: 101 }', '  web: { home: pve2, vmid: 101 }'],
  ] as const)
    assert.equal(withHome(around(before), 'web', 'pve2'), around(after));
  // Windows' line ends stay; a name that would be a number is quoted; the last line may have no end.
  assert.equal(
    withHome('containers:\r\n  web:\r\n    vmid: 1\r\n', 'web', 'a'),
    'containers:\r\n  web:\r\n    vmid: 1\r\n    home: a\r\n',
  );
  assert.equal(
    withHome('containers:\n  web:\n    vmid: 1', 'web', '12'),
    'containers:\n  web:\n    vmid: 1\n    home: "12"',
  );
});

test('what can not be changed in its own lines is left to a person', () => {
  for (const text of [
    'containers: { db: { vmid: 1 } }',
    'x: &x { vmid: 1 }\ncontainers: { web: *x }',
    'containers: { web: { nodes: [a] } }',
    'containers: 3',
    ': [',
  ])
    assert.equal(withHome(text, 'web', 'pve2'), null, text);
});
