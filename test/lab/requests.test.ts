import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { Lab } from '../../lib/lab/lab.ts';
import { Bench, WORLD, countingHex, list, record } from './world.ts';

async function errors(
  bench: Bench,
  method: string,
  path: string,
  form?: Record<string, string | number>,
): Promise<unknown> {
  const answer = await bench.call('pve1', method, path, form);
  assert.equal(answer.status, 400, answer.statusText);
  return record(JSON.parse(answer.body))['errors'];
}

test('every wrong parameter is named, in the words of Proxmox', async () => {
  const bench = new Bench();
  assert.deepEqual(
    await errors(bench, 'POST', '/nodes/pve1/lxc', {
      vmid: '1e3',
      nosuch: 1,
      memory: 4,
      onboot: 'yes',
      hostname: 'a b',
    }),
    {
      ostemplate: 'property is missing and it is not optional',
      vmid: "type check ('integer') failed - got '1e3'",
      nosuch: 'property is not defined in schema and the schema does not allow additional properties',
      memory: 'value must have a minimum value of 16',
      onboot: "type check ('boolean') failed - got 'yes'",
      hostname: 'invalid format - value does not look like a valid DNS name\n',
    },
  );
  assert.deepEqual(
    await errors(bench, 'PUT', '/nodes/pve1/lxc/101/config', { net0: 'name=eth0,colour=red' }),
    {
      net0: 'invalid format - colour: property is not defined in schema and the schema does not allow additional properties\n',
    },
  );
});

test('who is not known waits three seconds for an empty 401', async () => {
  for (const [token, text] of [
    ['PVEAPIToken=proxwarden@pve!cli=wrong', 'Authentication failed!'],
    ['Basic abc', 'No ticket'],
  ] as const) {
    const bench = new Bench({ token });
    const before = bench.clock.now();
    const answer = await bench.call('pve1', 'GET', '/version');
    assert.deepEqual(
      [answer.status, answer.statusText, answer.body, bench.clock.now() - before],
      [401, text, '', 3_000],
    );
  }
});

test('a deeper path replaces what a higher one grants, and lists get shorter without a word', async () => {
  const world = {
    ...WORLD,
    tokens: [
      {
        id: 'a@pve!b',
        secret: 's',
        privileges: { '/': ['Sys.Audit'], '/vms': ['VM.Audit'], '/vms/102': [] },
      },
    ],
  };
  const bench = new Bench({ world, token: 'PVEAPIToken=a@pve!b=s' });
  const shown = list(await bench.data('pve1', 'GET', '/cluster/resources')).map((one) => one['id']);
  assert.deepEqual(shown, ['lxc/101', 'lxc/103', 'node/pve1', 'node/pve2', 'node/pve3']);
  assert.equal(
    (await bench.call('pve1', 'GET', '/nodes/pve2/lxc/102/config')).statusText,
    'Permission check failed (/vms/102, VM.Audit)',
  );
  const permissions = record(await bench.data('pve1', 'GET', '/access/permissions'));
  assert.deepEqual(
    [permissions['/vms'], permissions['/nodes'], '/vms/102' in permissions],
    [{ 'VM.Audit': 1 }, { 'Sys.Audit': 1 }, false],
  );
});

test('configs in a folder are Proxmox files, and moving one by hand is real', async () => {
  const configDir = mkdtempSync(join(tmpdir(), 'lab-'));
  const bench = new Bench({ configDir });
  const file = (node: string): string => join(configDir, 'nodes', node, 'lxc', '101.conf');
  assert.match(
    readFileSync(file('pve1'), 'utf8'),
    /^#resolver%3A first\n#100 %25\narch: amd64\nhostname: dns\nmemory: 128\n/,
  );
  renameSync(file('pve1'), join(configDir, '101.conf.pve1'));
  assert.deepEqual(await bench.data('pve1', 'GET', '/nodes/pve1/lxc'), []);
  const orphan = list(await bench.data('pve2', 'GET', '/nodes/pve1/netstat'));
  assert.deepEqual(
    orphan.map((one) => one['vmid']),
    ['101'],
  );
  const stop = await bench.task('pve2', 'POST', '/nodes/pve1/lxc/101/status/stop');
  assert.equal(stop.exitstatus, "Configuration file 'nodes/pve1/lxc/101.conf' does not exist");
  assert.ok(bench.runs().includes('pve1/101'), 'an orphan runs on');
  await bench.data('pve2', 'POST', '/nodes/pve1/status', { command: 'reboot' });
  await bench.clock.advance(60_000);
  assert.ok(!bench.runs().includes('pve1/101'));
  assert.deepEqual(readdirSync(join(configDir, 'nodes', 'pve1', 'lxc')), []);
  rmSync(configDir, { recursive: true });
});

test('the same calls give the same ids in every run', async () => {
  const run = async (): Promise<string> => {
    const bench = new Bench();
    return String(await bench.data('pve1', 'POST', '/nodes/pve1/lxc/101/status/stop'));
  };
  assert.equal(await run(), await run());
});

test("it runs on the machine's own clock, faster when told so", async () => {
  const lab = new Lab({ clock: systemClock, world: WORLD, randomHex: countingHex(), speed: 1_000 });
  const before = Date.now();
  await lab.stopByHand(101);
  await lab.startByHand(101);
  assert.ok(Date.now() - before < 1_000);
  lab.kill('pve1');
  assert.equal(lab.plug('pve1'), 'on', 'a dead node may have its plug on: only a fence switches it');
  lab.setPlug('pve1', 'off');
  assert.equal(lab.plug('pve1'), 'off');
  lab.revive('pve1');
  assert.equal(lab.plug('pve1'), 'on');
  lab.close();
});
