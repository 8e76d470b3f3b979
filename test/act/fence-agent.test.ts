import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { createAgentFence } from '../../lib/act/fence/agent.ts';
import { FailedError } from '../../lib/errors.ts';
import { execFile } from '../../lib/exec.ts';
import type { FenceConfig } from '../../lib/inventory/types.ts';
import type { ExecRequest, ExecResult } from '../../lib/runtime.ts';

type AgentFence = Extract<FenceConfig, { driver: 'agent' }>;

const IPMI: AgentFence = {
  driver: 'agent',
  agent: 'fence_ipmilan',
  options: { ip: '10.0.0.9', username: 'admin', lanplus: '1' },
  secrets: { password: { kind: 'env', name: 'BMC' } },
  timeoutMs: 5000,
};

function answering(result: Partial<ExecResult>) {
  const asked: ExecRequest[] = [];
  const exec = (request: ExecRequest): Promise<ExecResult> => {
    asked.push(request);
    return Promise.resolve({ exitCode: null, stdout: '', stderr: '', ...result });
  };
  return { asked, driver: createAgentFence(IPMI, { env: { BMC: 'tell-nobody' }, exec }) };
}

test('the secret goes through standard input, and nothing through arguments or the environment', async () => {
  const { asked, driver } = answering({ exitCode: 0, stdout: 'Status: ON\n' });
  assert.deepEqual(await driver.status(), { power: 'on', detail: 'Status: ON' });
  const [request] = asked;
  assert.ok(request !== undefined);
  assert.deepEqual([request.file, request.args], ['/usr/sbin/fence_ipmilan', []]);
  assert.equal(
    request.stdin,
    'ip=10.0.0.9\nusername=admin\nlanplus=1\npassword=tell-nobody\naction=status\n',
  );
  assert.doesNotMatch(JSON.stringify(request.env), /tell-nobody/);
});

const reads: readonly (readonly [string, 'on' | 'off' | 'unknown', RegExp, Partial<ExecResult>])[] = [
  ['2 and the word', 'off', /^Status: OFF$/, { exitCode: 2, stdout: 'Status: OFF\n' }],
  [
    '2 without the word: called wrongly',
    'unknown',
    /usage/,
    { exitCode: 2, stderr: 'usage: fence_x [options]' },
  ],
  [
    'an error',
    'unknown',
    /Unable to connect/,
    { exitCode: 1, stderr: 'INFO: …\nERROR: Unable to connect/login' },
  ],
  ['an error that says off', 'unknown', /OFF/, { exitCode: 1, stdout: 'Status: OFF' }],
  ['too long', 'unknown', /timed out/, { failure: 'timed out after 5 s' }],
  ['not installed', 'unknown', /apt install fence-agents/, { failure: 'not found, or the interpreter …' }],
  [
    'it repeats the secret',
    'unknown',
    /^login with \*\*\* failed$/,
    { exitCode: 1, stderr: 'login with tell-nobody failed' },
  ],
];
for (const [what, power, detail, result] of reads)
  test(`status ${power}: ${what}`, async () => {
    const read = await answering(result).driver.status();
    assert.equal(read.power, power, read.detail);
    assert.match(read.detail, detail);
  });

test('an order that is not taken', async () => {
  await assert.rejects(answering({ exitCode: 1, stderr: 'no route' }).driver.off(), (error: unknown) => {
    assert.ok(error instanceof FailedError);
    assert.equal(error.message, 'fence_ipmilan does not switch off: no route');
    return true;
  });
});

/** A genuine agent from Debian's package, with the switch in a file. */
function dummy(t: TestContext, options: Readonly<Record<string, string>>) {
  if (!existsSync('/usr/sbin/fence_dummy')) {
    assert.equal(process.env['CI'], undefined, 'CI installs fence-agents');
    t.skip('no /usr/sbin/fence_dummy here (Debian: fence-agents)');
    return null;
  }
  const dir = mkdtempSync(join(tmpdir(), 'proxwarden-fence-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'status');
  const driver = createAgentFence(
    {
      driver: 'agent',
      agent: 'fence_dummy',
      options: { type: 'file', status_file: file, ...options },
      secrets: {},
      timeoutMs: 10_000,
    },
    { env: {}, exec: execFile },
  );
  return { driver, file };
}

test('a genuine fence agent: on, switched off, off, and off again', async (t) => {
  const real = dummy(t, {});
  if (real === null) return;
  await execFile({
    file: '/usr/sbin/fence_dummy',
    args: [],
    env: { PATH: '/usr/bin:/bin' },
    stdin: `action=on\nstatus_file=${real.file}\n`,
    timeoutMs: 10_000,
  });
  assert.deepEqual(await real.driver.status(), { power: 'on', detail: 'Status: ON' });
  await real.driver.off();
  assert.match(readFileSync(real.file, 'utf8'), /off/);
  assert.deepEqual(await real.driver.status(), { power: 'off', detail: 'Status: OFF' });
  await real.driver.off();
});
