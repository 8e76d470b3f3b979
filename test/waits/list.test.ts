/**
 * Everything in the sources that can wait for somebody else: what limits it, and what ends it when the process is to stop.
 * A file that begins to wait for something has to be added, one that no longer does to be taken out. (The simulated
 * cluster waits for nobody but its clients.)
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { count } from '../contract/count.ts';
import { DRIVES } from '../contract/drives.ts';

/** What makes a file one that waits. */
const WAITING: readonly RegExp[] = [
  /^import \{[^}]*\b(connect|Socket|createSocket|createServer|request)\b[^}]*\} from 'node:(net|tls|dgram|http|https)'/m,
  /^import \{[^}]*\b(lookup|Resolver)\b[^}]*\} from 'node:dns/m,
  /undici\.ts'|^import \{[^}]*\b(Client|Pool|Agent)\b[^}]*\} from 'undici'/m,
  /from 'node:child_process'|import\('zx/,
  /import\('nodemailer'\)/,
  /from 'node:readline/,
  /\.sleep\(|setTimeout\(|Atomics\.wait/,
  /\b(readFileSync|readSync|readFile|readRegularFile)\(/,
];

const PEERS = 'waits/peers.test.ts';
const FILES = 'waits/files.test.ts';
const STEPS = 'waits/steps.test.ts';

interface Listed {
  readonly limit: string;
  /** What ends it when the process is to stop; a read of a file is over by then. */
  readonly stop: string;
  readonly tests: readonly string[];
}
const regular: Listed = {
  limit: 'regular files only, opened without waiting',
  stop: 'over at once',
  tests: [FILES],
};
const kernel: Listed = {
  limit: 'the kernel’s own files, which never wait',
  stop: 'over at once',
  tests: ['state/owner.test.ts'],
};
const poll = (limit: string, ...tests: readonly string[]): Listed => ({
  limit,
  stop: 'the sleep rejects',
  tests: [STEPS, ...tests],
});
const deadline = (limit: string, ...tests: readonly string[]): Listed => ({
  limit,
  stop: 'the deadline’s signal',
  tests,
});

const WAITS: Readonly<Record<string, Listed>> = {
  'lib/act/after.ts': poll('the container’s verify time', 'act/failover.test.ts'),
  'lib/act/fence/by-hand.ts': poll('30 s for a switch, 4 min for a shutdown', 'act/fence-by-hand.test.ts'),
  'lib/act/fence/fence.ts': poll('30 s for a read-back', 'act/fence.test.ts'),
  'lib/act/fence/http.ts': deadline('the fence’s timeout', PEERS),
  'lib/act/fence/one-try.ts': poll(
    'two minutes for each driver of the one that is at it',
    'act/fence.test.ts',
  ),
  'lib/act/fence/redfish.ts': deadline('the fence’s timeout', PEERS),
  'lib/act/heartbeat.ts': {
    limit: 'as long as the work beside it',
    stop: 'ends with that work',
    tests: [STEPS],
  },
  'lib/act/look.ts': poll('a minute of silence, or a minute after the request', 'act/run-task.test.ts'),
  'lib/act/pct.ts': poll('until the task is listed, some seconds', 'act/pct.test.ts'),
  'lib/act/reconcile.ts': poll('a start under way, a minute or so', 'act/reconcile.test.ts'),
  'lib/act/root-shell.ts': {
    limit: 'a minute, then SIGKILL for its group',
    stop: 'SIGKILL',
    tests: [PEERS, FILES],
  },
  'lib/act/turns.ts': poll(
    'as long as operations of this run go on; an hour for a turn',
    'act/batch.test.ts',
  ),
  'lib/cli/again.ts': poll('what --for says, an hour at most', 'cli/again.test.ts'),
  'lib/cli/ask.ts': {
    limit: 'none: a person thinks',
    stop: 'the signal, Ctrl-C, the end of the input',
    tests: ['e2e/init.test.ts'],
  },
  'lib/cli/handover.ts': poll('two minutes', 'e2e/story.test.ts'),
  'lib/cli/init/trust.ts': regular,
  'lib/clock.ts': { limit: 'is the limit', stop: 'rejects with its reason', tests: ['clock.test.ts'] },
  'lib/detach.ts': { limit: 'the start of a process', stop: 'over at once', tests: ['e2e/story.test.ts'] },
  'lib/dispatcher.ts': {
    limit: '3 s for a connection; the call’s deadline',
    stop: 'the call’s signal',
    tests: [PEERS, FILES],
  },
  'lib/exec.ts': {
    limit: 'the caller’s, then SIGTERM and 2 s, then SIGKILL',
    stop: 'the same',
    tests: ['exec.test.ts', PEERS],
  },
  'lib/file.ts': regular,
  'lib/install/marked.ts': regular,
  'lib/inventory/files.ts': regular,
  'lib/inventory/memo.ts': { ...regular, tests: [FILES, 'inventory/memo.test.ts'] },
  'lib/inventory/program-digests.ts': {
    limit: 'programs that were found to be regular files',
    stop: 'over at once',
    tests: ['inventory/files.test.ts'],
  },
  'lib/inventory/secrets.ts': regular,
  'lib/lab/client.ts': deadline('15 s for an answer', PEERS),
  'lib/lab/runfile.ts': {
    limit: '3 s for a connection',
    stop: 'over soon',
    tests: [FILES, 'lab/runfile.test.ts'],
  },
  'lib/observe/certificate.ts': deadline('5 s', PEERS),
  'lib/observe/probe.ts': deadline('the check’s timeout, for each attempt', PEERS),
  'lib/observe/probes/dns.ts': deadline('the check’s timeout', PEERS),
  'lib/observe/prober.ts': {
    limit: 'a tenth of a second, as long as probes wait for a slot',
    stop: 'over soon',
    tests: ['observe/prober.test.ts'],
  },
  'lib/observe/probes/fping.ts': deadline('the check’s timeout', PEERS, 'observe/probe-fping.test.ts'),
  'lib/observe/probes/http-connect.ts': deadline('the check’s timeout', PEERS),
  'lib/observe/probes/http.ts': deadline('the check’s timeout', PEERS),
  'lib/observe/probes/lookup.ts': {
    limit: 'the check’s timeout: what is under way is left behind',
    stop: 'the same',
    tests: ['observe/probe-abort.test.ts'],
  },
  'lib/observe/probes/ping.ts': deadline('the check’s timeout, then SIGKILL', PEERS),
  'lib/observe/probes/tcp.ts': deadline('the check’s timeout', PEERS),
  'lib/pve/task.ts': poll('four hours for a task, a minute of silence about it', 'pve/task.test.ts'),
  'lib/pve/tickets.ts': deadline('the call’s deadline', PEERS),
  'lib/pve/transport.ts': deadline('the call’s deadline', PEERS),
  'lib/state/durable.ts': regular,
  'lib/state/events.ts': {
    limit: 'one byte of a file that is open',
    stop: 'over at once',
    tests: ['state/records.test.ts'],
  },
  'lib/state/lock.ts': {
    limit: '10 s, on pmxcfs 30 s; it is held for milliseconds',
    stop: 'over soon',
    tests: ['state/lock.test.ts'],
  },
  'lib/state/mounts.ts': kernel,
  'lib/state/owner.ts': kernel,
  'lib/tell/heartbeat.ts': deadline('5 s', PEERS),
  'lib/tell/notify/deliver.ts': deadline('10 s', PEERS),
  'lib/tell/notify/mail.ts': deadline('10 s', PEERS),
  'lib/undici.ts': { limit: 'those of its users', stop: 'theirs', tests: [PEERS] },
  'scripts/demo.ts': poll('a minute in all', 'e2e/interrupt.test.ts'),
  'scripts/dev/loader.ts': {
    limit: 'its own bundle',
    stop: 'over at once',
    tests: ['dev/loader.test.ts'],
  },
  'scripts/drift.ts': {
    limit: 'an inventory file that was just loaded',
    stop: 'over at once',
    tests: [FILES],
  },
  'scripts/lab.ts': {
    limit: '15 s to come up',
    stop: 'the sleep rejects, and the lab is ended',
    tests: ['e2e/lab-and-demo.test.ts', FILES],
  },
  'scripts/pause.ts': poll('none: `--wait` is a person’s', 'scenarios/scenarios.test.ts'),
};

function sources(): Map<string, string> {
  const names = ['lib', 'scripts'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  );
  const files = names.filter((name) => name.endsWith('.ts') && !/^lib\/lab\/(?!client|runfile)/.test(name));
  return new Map(files.map((name) => [name, readFileSync(name, 'utf8')]));
}

test('every file that waits for somebody is listed, with its limit, its end and its tests', (t) => {
  const waiting = [...sources()]
    .filter(([, text]) => WAITING.some((one) => one.test(text)))
    .map(([name]) => name);
  assert.deepEqual(waiting.toSorted(), Object.keys(WAITS).toSorted());
  for (const [file, { tests }] of Object.entries(WAITS))
    for (const name of tests) assert.ok(existsSync(join('test', name)), `${file}: no test/${name}`);
  count(t, `${waiting.length} files that wait for somebody, each with a limit, a signal and a test`);
});

/** The words between a bracket and its partner. */
function argumentsAt(text: string, open: number): string {
  let depth = 0;
  for (let at = open; at < text.length; at += 1) {
    if (text[at] === '(') depth += 1;
    if (text[at] === ')') depth -= 1;
    if (depth === 0) return text.slice(open + 1, at);
  }
  return text.slice(open);
}

test('every call of the API is given the signal that ends it', () => {
  const methods = [...Object.keys(DRIVES), 'names', 'certificates', 'config', 'addresses', 'storageServers'];
  const inner = 'nodeTime nodeVersion privileges token backupJobs storages votes qdevice replicated'.split(
    ' ',
  );
  const call = new RegExp(
    `\\b(?:api|other|quorate|inspect|survey)\\??\\.(?:inspect\\.|survey\\.)?(${[...methods, ...inner].join('|')})\\(`,
    'g',
  );
  let calls = 0;
  for (const [name, text] of sources()) {
    if (!/^(lib\/(act|observe|cli)|scripts)\//.test(name)) continue;
    for (const found of text.matchAll(call)) {
      const words = argumentsAt(text, found.index + found[0].length - 1);
      calls += 1;
      assert.match(words, /\bsignal\b|\boptions\b/, `${name}: ${found[0]}${words})`);
    }
  }
  assert.ok(calls > 60, `${calls} calls`);
});
