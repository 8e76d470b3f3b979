import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseUpid } from '../../lib/pve/upid.ts';

test('a UPID names node, type, id, user and start', () => {
  assert.deepEqual(parseUpid('UPID:pve1:0000022B:00043D51:6B034DAF:vzdump:101:root@pam:'), {
    node: 'pve1',
    type: 'vzdump',
    id: '101',
    user: 'root@pam',
    startedAt: 0x6b034daf * 1000,
  });
  assert.equal(
    parseUpid('UPID:pve-2:000032D1:00062E73:6B0352A7:vzdump::proxwarden@pve!ha:')?.user,
    'proxwarden@pve!ha',
  );
});

for (const text of ['OK', '', 'UPID:pve1', 'UPID:../etc:0000022B:00043D51:6B034DAF:vzdump:101:root@pam:'])
  test(`${JSON.stringify(text)} is no UPID`, () => assert.equal(parseUpid(text), null));
