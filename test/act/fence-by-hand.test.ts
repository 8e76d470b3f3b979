/** A person's word, and a person's hand on the power. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { powerOffByHand, powerOnByHand } from '../../lib/act/fence/by-hand.ts';
import { createSshFence } from '../../lib/act/fence/ssh.ts';
import { takeWord } from '../../lib/act/fence/word.ts';
import type { ShellResult } from '../../lib/runtime.ts';
import { HOUR } from '../decide/parts.ts';
import { ActBench } from './bench.ts';
import { Plug, PLUG_CONFIG } from './plug.ts';

const PLACE = { cluster: 'home', node: 'pve1' };

function bench(t: TestContext): { b: ActBench; plug: Plug } {
  const b = new ActBench(t, {}, (w) => {
    w.fences['pve1'] = [PLUG_CONFIG, { driver: 'pve' }, { driver: 'manual', validMs: HOUR }];
  });
  return { b, plug: new Plug(b) };
}

function word(b: ActBench, despitePower = false): Promise<{ readonly notes: readonly string[] }> {
  return b.run(takeWord(b.context, PLACE, { by: 'me', despitePower }));
}

const noted = (b: ActBench): unknown => b.context.state.read().fenceConfirmed['home/pve1'];

test('a word about a node that answers is a slip in the name: refused, and not noted', async (t) => {
  const { b } = bench(t);
  await assert.rejects(word(b, true), /BlockedError: home\/pve1 is not off: its API answers/);
  assert.equal(noted(b), undefined);
});

test('a word about a node whose plug says on: only when that is said by name', async (t) => {
  const { b } = bench(t);
  b.pve.kill('pve1');
  await assert.rejects(word(b), /BlockedError: home\/pve1 has power: its http fence says on \(power=on\)/);
  assert.equal(noted(b), undefined);
  await word(b, true);
  assert.notEqual(noted(b), undefined);
});

test('a word about a silent node whose plug says off, or nothing', async (t) => {
  const { b, plug } = bench(t);
  b.pve.kill('pve1');
  plug.power = 'off';
  assert.deepEqual((await word(b)).notes, []);
});

test('a word where nobody can be asked: taken, and what could not be asked is said', async (t) => {
  const { b, plug } = bench(t);
  for (const node of ['pve1', 'pve2', 'pve3']) b.pve.kill(node);
  plug.power = 'off';
  assert.match((await word(b)).notes.join(), /whether pve1 answers could not be asked/);
});

function wanted(yes: string | undefined, driver?: string) {
  return { place: PLACE, yes, driver };
}

test('nothing is switched until the name has been typed once more; what would go down is said', async (t) => {
  const { b, plug } = bench(t);
  for (const yes of [undefined, 'pve2', 'pve1 ', 'y'])
    await assert.rejects(
      b.run(powerOffByHand(b.context, wanted(yes))),
      /InputError: this powers pve1 off; it is online, with CT 101/,
    );
  for (const yes of [undefined, 'home/pve2'])
    await assert.rejects(b.run(powerOnByHand(b.context, wanted(yes))), /InputError: this powers pve1 on/);
  assert.deepEqual([plug.orders, b.pve.writes], [[], []]);
});

test('off by the plug, noted before it is ordered so that a wrong plug is seen', async (t) => {
  const { b, plug } = bench(t);
  let before: unknown;
  plug.onOff = () => {
    before = b.context.state.read().fenced['home/pve1']?.othersOnline;
    plug.power = 'off';
    b.pve.kill('pve1');
  };
  assert.match(await b.run(powerOffByHand(b.context, wanted('pve1'))), /pve1 is off: http has read back/);
  assert.deepEqual(before, ['pve2', 'pve3']);
});

test('off by its own API: told to, silent, and no proof', async (t) => {
  const { b, plug } = bench(t);
  assert.match(
    await b.run(powerOffByHand(b.context, wanted('home/pve1', 'pve'))),
    /was told to shut down and is silent now \(pve\); that is no proof/,
  );
  assert.deepEqual([b.pve.writes, plug.orders], [['shutdown pve1'], []]);
});

test('a plug that takes no order: failed, with what it said', async (t) => {
  const { b, plug } = bench(t);
  plug.onOff = () => undefined;
  await assert.rejects(
    b.run(powerOffByHand(b.context, wanted('pve1', 'http'))),
    /FailedError: pve1 could not be powered off: http: ordered off, and it says on/,
  );
});

test('on: nothing of it can switch on', async (t) => {
  const { b } = bench(t);
  await assert.rejects(b.run(powerOnByHand(b.context, wanted('pve1'))), /no driver of it can switch on/);
});

const SSH: readonly (readonly [string, ShellResult, 'on' | 'unknown', RegExp])[] = [
  ['reached', { kind: 'ended', exitCode: 0, output: '' }, 'on', /root shell/],
  [
    'not reached',
    { kind: 'not-sent', why: 'ssh does not reach it' },
    'unknown',
    /not reach it, which proves nothing/,
  ],
  ['lost', { kind: 'unknown', why: 'the connection was lost' }, 'unknown', /lost, which proves nothing/],
];
for (const [what, result, power, detail] of SSH)
  test(`ssh, ${what}: ${power}, and never off`, async (t) => {
    const { b } = bench(t);
    const api = b.context.apis.get('home');
    assert.ok(api !== undefined);
    const shell = { kind: 'local' } as const;
    const fence = createSshFence({ api, shell, node: 'pve1' }, { shell: () => Promise.resolve(result) });
    const read = await b.run(fence.status());
    assert.equal(read.power, power);
    assert.match(read.detail, detail);
    if (result.kind === 'ended') await b.run(fence.off());
    else await assert.rejects(b.run(fence.off()), /FailedError: pve1 is not powered off over ssh/);
  });
