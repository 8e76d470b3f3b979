/** Texts of every other source that make no sense: configs, logs, lineage lines, output of programs, the lab's run file. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import * as fc from 'fast-check';
import * as z from 'zod';
import { createAgentFence } from '../../lib/act/fence/agent.ts';
import { runHooks } from '../../lib/act/hooks.ts';
import { rootShell } from '../../lib/act/root-shell.ts';
import { systemClock } from '../../lib/clock.ts';
import { composeDescription, formatLineage, parseLineage } from '../../lib/decide/lineage.ts';
import { BackupView, Lineage, ProbeResult } from '../../lib/decide/model.ts';
import { readRunFile, RunFile } from '../../lib/lab/runfile.ts';
import { runProbe } from '../../lib/observe/probe.ts';
import { archivedFrom } from '../../lib/pve/guest.ts';
import { NO_PROGRESS, readProgress } from '../../lib/pve/progress.ts';
import { TaskLogReply, TaskStatusReply } from '../../lib/pve/schemas.ts';
import { createdArchive, waitForTask } from '../../lib/pve/task.ts';
import type { ExecResult, ShellRequest } from '../../lib/runtime.ts';
import { ActBench } from '../act/bench.ts';
import { haveRecordings, replies } from '../contract/recordings.ts';
import { jumpingClock, UPID } from '../pve/harness.ts';
import { assertClear, assertReadable } from './clear.ts';
import { fuzz, fuzzCounted } from './fuzz.ts';
import { mutatedBytes, mutatedJson, mutatedLines } from './mutate.ts';

const root = mkdtempSync(join(tmpdir(), 'proxwarden-fuzz-texts-'));
after(() => rmSync(root, { recursive: true, force: true }));

const Text = z.object({ data: z.string() });
const Lines = z.object({ data: z.array(z.object({ t: z.string() })).min(1) });
const recorded = haveRecordings ? replies().filter(({ status }) => status === 200) : [];
const configs = recorded.flatMap(({ path, body }) =>
  path.endsWith('/extractconfig') ? (Text.safeParse(body).data?.data ?? []) : [],
);
const logs = recorded.flatMap(({ path, body }) =>
  path.endsWith('/log')
    ? (Lines.safeParse(body)
        .data?.data.map(({ t }) => t)
        .join('\n') ?? [])
    : [],
);
if (!haveRecordings) console.log('# the recordings are not here: only texts of the tests are mutated');

const LINE = {
  container: 'dns',
  cluster: 'home',
  node: 'pve2',
  vmid: 1_000_101,
  epoch: 1,
  supersedes: 'pve1/101@0',
  operation: 'op-20261122T201647-a1b2c3',
  source: 'nas:backup/vzdump-lxc-101-2026_11_22-20_16_47.tar.zst',
  phase: 'live',
  at: 1_795_378_607_000,
} as const;
const DESCRIPTION = composeDescription({ sentence: 'a copy of CT 101', line: LINE, previous: 'my notes\n' });
const CONFIG = `#${encodeURIComponent(DESCRIPTION)}
arch: amd64
cores: 2
features: nesting=1,keyctl=1
hostname: dns
hookscript: local:snippets/hook.sh
memory: 512
mp0: local-lvm:vm-101-disk-1,mp=/data,size=8G,backup=1
mp1: /srv/media,mp=/media
net0: name=eth0,bridge=vmbr0,hwaddr=BC:24:11:00:01:01,ip=10.0.0.53/24,gw=10.0.0.1,tag=7,trunks=2;4
net1: name=eth1,bridge=vmbr1,hwaddr=BC:24:11:00:01:02,ip=dhcp,ip6=auto
dev0: path=/dev/dri/renderD128,mode=0660
onboot: 1
protection: 0
rootfs: local-lvm:vm-101-disk-0,size=4G,mountoptions=noatime;discard
tags: proxwarden;dns
unprivileged: 1
lxc.idmap: u 0 100000 65536
lxc.mount.entry: /dev/net/tun dev/net/tun none bind,create=file

[before-upgrade]
memory: 256
`;

fuzz('container configs', { runs: 100 }, mutatedLines([CONFIG, ...configs.slice(0, 20)]), (bytes) => {
  const archived = archivedFrom(bytes.toString());
  BackupView.shape.archived.parse(archived);
  assert.deepEqual(JSON.parse(JSON.stringify(archived)), archived, 'not what JSON can hold');
});

fuzz('lineage lines', { runs: 100 }, mutatedLines([DESCRIPTION, formatLineage(LINE)]), (bytes) => {
  const line = parseLineage(bytes.toString());
  if (line === null) return;
  Lineage.parse(line);
  assert.deepEqual(parseLineage(formatLineage(line)), line);
  assertReadable(line.container + line.cluster + line.node + line.operation, 'a name of the line');
});

const LOG = `INFO: starting new backup job: vzdump 101 --storage nas --mode snapshot
INFO: Starting Backup of VM 101 (lxc)
INFO: creating vzdump archive '/mnt/pve/nas/dump/vzdump-lxc-101-2026_11_22-20_16_47.tar.zst'
INFO:  45% (4.5 GiB of 10.0 GiB) in 12s, read: 375.0 MiB/s
INFO: processed 6.028 GiB in 1m, uploaded 5.9 GiB
ERROR: Backup of VM 101 failed - command 'set -o pipefail && lxc-usernsexec -m u:0:100000:65536 -- tar cpf - --totals' failed: exit code 2
INFO: Failed at 2026-11-22 20:16:50
TASK ERROR: job errors`;

const STATUSES = [
  'OK',
  'WARNINGS: 1',
  'job errors',
  'unexpected status',
  'x',
  '',
  '\u001b[2J',
  'interrupted by signal',
];

fuzz(
  'task logs',
  { runs: 60 },
  fc.tuple(mutatedLines([LOG, ...logs.slice(0, 60)]), fc.constantFrom(...STATUSES)),
  async ([bytes, said]) => {
    const { exitstatus = null } = TaskStatusReply.parse({ status: 'stopped', exitstatus: said });
    const lines = bytes.toString().split('\n');
    const reply = TaskLogReply.parse(lines.map((t, n) => ({ n: n + 1, t })));
    const log = Array.isArray(reply) ? reply.map(({ t }) => t ?? '') : [];
    const { percent, bytes: read } = readProgress(NO_PROGRESS, log);
    assert.ok(percent === null || (percent >= 0 && percent <= 100));
    assert.ok(read === null || (Number.isFinite(read) && read >= 0), String(read));
    const archive = createdArchive(log, 'nas');
    assert.ok(archive === null || archive.startsWith('nas:backup/'));
    let running = 2;
    const api = {
      taskStatus: () => {
        running -= 1;
        return Promise.resolve({ upid: UPID, node: 'pve1', running: running > 0, exitstatus });
      },
      taskLog: (_: string, { start = 0 } = {}) => Promise.resolve(log.slice(start)),
    };
    try {
      const result = await waitForTask(api, UPID, { clock: jumpingClock(), limitMs: 60_000 });
      assert.match(result.exitstatus, /^(OK|WARNINGS: \d+)$/);
    } catch (error) {
      assertClear(error);
    }
  },
);

const SAID = [
  'Status: OFF',
  'Status: ON\n',
  'Chassis Power is off\n',
  '2026-11-22 20:16:47,123 ERROR: Unable to connect/login to fencing device\n',
  "Failed: You have to set login name\n\nPlease use '-h' for usage\n",
];
const ended = fc.record({
  exitCode: fc.constantFrom(0, 1, 2, 3, 127, 255, null),
  stdout: mutatedBytes(SAID).map(String),
  stderr: mutatedBytes(SAID).map(String),
});

fuzz('output of fence agents', { runs: 60 }, ended, async (said: ExecResult) => {
  const config = {
    driver: 'agent',
    agent: 'fence_ipmilan',
    options: { ip: '10.0.0.9' },
    secrets: {},
    timeoutMs: 1000,
  } as const;
  const fence = createAgentFence(config, { env: {}, exec: () => Promise.resolve(said) });
  const { power, detail } = await fence.status();
  assertReadable(detail, 'the detail');
  assert.ok(detail.length < 400);
  // Only the two answers that the contract names; a program that was called wrongly ends with 2, too.
  if (power === 'on') assert.equal(said.exitCode, 0);
  if (power === 'off') assert.ok(said.exitCode === 2 && /off/i.test(said.stdout + said.stderr));
  try {
    await fence.off();
    assert.equal(said.exitCode, 0);
  } catch (error) {
    assertClear(error);
  }
});

const PLUGIN = [
  'HTTP OK: 200 | time=0.1s;;;0\nmore\n',
  'DISK CRITICAL - free space: / 12 MB (1%)',
  'UNKNOWN: no route',
];

fuzz(
  'output of check plugins',
  { runs: 60 },
  fc.record({
    exitCode: fc.constantFrom(0, 1, 2, 3, 4, 255, null),
    stdout: mutatedBytes(PLUGIN).map(String),
    stderr: mutatedBytes(PLUGIN).map(String),
  }),
  async (said: ExecResult) => {
    const deps = { clock: systemClock, path: '', exec: () => Promise.resolve(said) };
    const spec = {
      kind: 'exec',
      path: '/x',
      args: [],
      label: 'exec x',
      timeoutMs: 5_000,
      attempts: 1,
    } as const;
    const result = ProbeResult.parse(await runProbe(spec, deps));
    assertReadable(result.reason, 'the reason');
    assert.ok(result.reason.length < 400);
    assert.equal(result.ok, said.exitCode === 0 || said.exitCode === 1);
    // What a plugin could not find out says nothing of the service.
    assert.equal(result.unknown === true, ![0, 1, 2].includes(said.exitCode ?? -1));
  },
);

writeFileSync(
  join(root, 'ssh'),
  `#!/bin/sh\ncat '${root}/out'\ncat '${root}/err' >&2\nexit "$(cat '${root}/code')"\n`,
  { mode: 0o755 },
);
const SHELL_SAID = [
  'restored\nproxwarden: ended 0\n',
  'unable to restore CT 101\n\nproxwarden: ended 255\n',
  'proxwarden: begun\n',
  'this is pve2, not pve1\nproxwarden: not begun\n',
  'ssh: connect to host 10.0.0.11 port 22: Connection refused\r\n',
  'Host key verification failed.\r\n',
];

const bench = new ActBench({ after });
const hooked = bench.operation();

fuzz('output of hooks', { runs: 60 }, ended, async (said: ExecResult) => {
  bench.execResult = said;
  const hook = { path: '/hooks/notify', args: [], timeoutMs: 1000 };
  try {
    await runHooks(hooked, 'before', [hook]);
    assert.equal(said.exitCode, 0);
  } catch (error) {
    assertClear(error);
    assert.notEqual(said.exitCode, 0);
  }
});

fuzz(
  'output of root shells',
  { runs: 12 },
  fc.record({
    out: mutatedLines(SHELL_SAID),
    err: mutatedLines(SHELL_SAID),
    code: fc.constantFrom(0, 1, 2, 127, 255),
  }),
  async ({ out, err, code }) => {
    writeFileSync(join(root, 'out'), out);
    writeFileSync(join(root, 'err'), err);
    writeFileSync(join(root, 'code'), String(code));
    const request: ShellRequest = {
      shell: { kind: 'ssh', user: 'root', port: 22, key: null, knownHosts: null },
      node: 'pve1',
      host: '10.0.0.11',
      order: { kind: 'greet' },
    };
    const result = await rootShell(request, { path: `${root}:/usr/bin:/bin` });
    if ('why' in result) {
      assertReadable(result.why, 'the reason');
      assert.ok(result.why.length < 600);
    }
    // It is certain that nothing was done only where that was said, or ssh got nowhere.
    if (result.kind === 'not-sent')
      assert.ok(/not begun/.test(out.toString()) || code === 255 || code === 127, JSON.stringify(result));
    if (result.kind === 'ended') assert.ok(Number.isSafeInteger(result.exitCode));
  },
);

const RUN = JSON.stringify({
  pid: process.pid,
  control: 'http://127.0.0.1:9',
  token: 'a',
  ports: { pve1: 8006, plugs: 8071 },
  startedAt: 1_795_378_607_000,
});
mkdirSync(join(root, '.lab'));

fuzz('run.json of the lab', { runs: 75 }, mutatedJson([RUN]), async (bytes) => {
  writeFileSync(join(root, '.lab', 'run.json'), bytes);
  try {
    const run = await readRunFile(root);
    if (run !== null) RunFile.parse(run);
  } catch (error) {
    assertClear(error);
  }
});

fuzzCounted('texts');
