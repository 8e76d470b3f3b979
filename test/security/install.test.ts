/** `install` and `uninstall`: what they write and remove, and that systemd understands it and calls it hardened. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { test, type TestContext } from 'node:test';
import { marked } from '../../lib/install/marked.ts';
import { textsOf, type Job } from '../../lib/install/texts.ts';
import { inProcess } from '../e2e/in-process.ts';
import { told, until } from '../e2e/stage.ts';
import { tempFolder } from '../observe/probe-helpers.ts';

const JOB: Job = {
  user: 'proxwarden',
  node: '/bin/true',
  program: '/opt/prox warden/dist/proxwarden.js',
  inventory: '/etc/proxwarden/100%',
  state: '/var/lib/proxwarden/$HOME',
  writes: ['/var/lib/proxwarden/$HOME'],
  reads: ['/etc/proxwarden/home.token'],
  allowedHooks: '/usr/bin/a:/usr/bin/b',
  every: null,
  confined: true,
};
const ANALYZE =
  spawnSync('systemd-analyze', ['--version']).status === 0 ? {} : { skip: 'there is no systemd-analyze' };
/** The last of them moves the clock of cron alone, which would else be waited for. */
const CRON =
  process.getuid?.() === 0 &&
  ['cron', 'faketime'].every((name) => spawnSync('which', [name]).status === 0) &&
  spawnSync('unshare', ['-m', 'true']).status === 0
    ? {}
    : { skip: 'needs root that may unshare mounts, cron and faketime' };

test('the units are ones that systemd takes without a word, and calls well hardened', ANALYZE, (t) => {
  const dir = tempFolder(t);
  for (const { name, text } of textsOf('systemd', JOB)) writeFileSync(join(dir, name), marked(text));
  const units = ['proxwarden.service', 'proxwarden.timer'].map((name) => join(dir, name));
  const verified = spawnSync('systemd-analyze', ['verify', ...units], { encoding: 'utf8' });
  assert.deepEqual([verified.status, verified.stdout + verified.stderr], [0, '']);
  const rated = spawnSync(
    'systemd-analyze',
    ['security', '--offline=true', '--threshold=25', '--no-pager', units[0] ?? ''],
    { encoding: 'utf8' },
  );
  assert.equal(rated.status, 0, rated.stdout.slice(-300));
});

test('an operation that outlives its run is neither killed with it nor left without a /tmp', () => {
  const [service] = textsOf('systemd', JOB);
  for (const line of [
    'KillMode=process',
    'TemporaryFileSystem=/tmp:mode=1777,size=64M /var/tmp:mode=1777,size=64M',
  ])
    assert.ok(service?.text.includes(`\n${line}\n`), line);
  assert.doesNotMatch(service?.text ?? '', /^PrivateTmp/m);
  // pct and lvm, as root on a node.
  assert.doesNotMatch(
    textsOf('systemd', { ...JOB, confined: false })[0]?.text ?? '',
    /Protect|Private|Capabilit|SystemCall/,
  );
});

test(
  'a genuine cron runs it, as that user, with these words, and nothing that others can read',
  CRON,
  async (t) => {
    const folder = tempFolder(t);
    chmodSync(folder, 0o755);
    const inventory = join(folder, 'in 100% $HOME');
    const [dir, program] = [join(folder, 'cron.d'), join(folder, 'say.sh')];
    mkdirSync(dir);
    writeFileSync(
      program,
      'printf "%s|" "$(id -un)" "$(umask)" "$(ulimit -c)" "$@" > "$5/tmp" && mv "$5/tmp" "$5/ran"\n',
    );
    // In a second of its own: one that has not to be waited for.
    const jobs = Array.from({ length: 200 }, (_, n) => ({
      ...JOB,
      user: 'nobody',
      node: '/bin/sh',
      program,
      inventory,
      state: join(folder, `state${n}`),
    }));
    const found = jobs.find((job) => textsOf('cron', job)[0]?.text.includes(' sleep 0;'));
    assert.ok(found !== undefined);
    mkdirSync(found.state);
    chmodSync(found.state, 0o777);
    for (const { name, text } of textsOf('cron', found)) writeFileSync(join(dir, name), marked(text));
    // It waits for the end of a minute by its clock, which is put to two seconds before one.
    const ahead = (118 - new Date().getSeconds()) % 60;
    const hidden =
      'mount --bind "$1" /etc/cron.d; mount --bind /dev/null /etc/crontab; mount -t tmpfs none /var/spool/cron; mkdir -m 1730 /var/spool/cron/crontabs; mount -t tmpfs none /run';
    const cron = spawn(
      'unshare',
      ['-m', 'sh', '-ec', `${hidden}; exec faketime -f "+$2" cron -f`, 'sh', dir, `${ahead}s`],
      { stdio: ['ignore', 'inherit', 'inherit'], detached: true },
    );
    // faketime waits for its child: all of them are ended.
    t.after(() => process.kill(-(cron.pid ?? Number.NaN), 'SIGKILL'));
    await until(() => existsSync(join(found.state, 'ran')));
    assert.equal(
      readFileSync(join(found.state, 'ran'), 'utf8'),
      [
        'nobody',
        '0077',
        '0',
        'check-and-failover',
        '--inventory',
        inventory,
        '--state',
        found.state,
        '',
      ].join('|'),
    );
  },
);

test('blanks, % and $ in paths reach the command as they are; other characters are refused', () => {
  const [service] = textsOf('systemd', JOB);
  assert.match(
    service?.text ?? '',
    /^ExecStart=\/bin\/true "\/opt\/prox warden\/dist\/proxwarden\.js" check-and-failover --detach --inventory \/etc\/proxwarden\/100%% --state \/var\/lib\/proxwarden\/\$\$HOME$/m,
  );
  const [cron] = textsOf('cron', JOB);
  const line = cron?.text.split('\n').find((each) => each.startsWith('* * * * * proxwarden ')) ?? '';
  assert.match(line, /'\/etc\/proxwarden\/100\\%'/);
  // As cron hands it to the shell; the command only prints what it gets.
  const shell = line
    .slice('* * * * * proxwarden '.length)
    .replaceAll('\\%', '%')
    .replace(/sleep \d+; /, '')
    .replace("exec '/bin/true'", "printf '%s|'")
    .replace(/ 2>&1 \| logger.*$/, '');
  assert.equal(
    spawnSync('/bin/sh', ['-c', shell], { encoding: 'utf8', env: {} }).stdout,
    '/opt/prox warden/dist/proxwarden.js|check-and-failover|--inventory|/etc/proxwarden/100%|--state|/var/lib/proxwarden/$HOME|',
  );
  assert.match(
    textsOf('cron', { ...JOB, every: '10s' })[0]?.text ?? '',
    / 'check-and-failover' '--for' '55s' '--every' '10s' '--inventory' /,
  );
  for (const inventory of ['/a\nb', '/a"b', "/a'b", '/a\\b'])
    assert.throws(() => textsOf('cron', { ...JOB, inventory }), /holds characters that neither/);
  assert.throws(
    () => textsOf('systemd', { ...JOB, reads: ['/tmp/home.token'] }),
    /which \/tmp\/home\.token is not/,
  );
  const inHome = textsOf('systemd', { ...JOB, reads: ['/home/anna/home.token'] });
  assert.match(inHome[0]?.text ?? '', /^ProtectHome=read-only$/m);
  assert.match(textsOf('systemd', JOB)[0]?.text ?? '', /^ProtectHome=true$/m);
  assert.throws(
    () => textsOf('systemd', { ...JOB, state: '/tmp/s', writes: ['/tmp/s'] }),
    /a \/tmp of its own/,
  );
});

function place(t: TestContext) {
  const folder = tempFolder(t);
  const [dir, state] = [join(folder, 'cron.d'), join(folder, 'state')];
  mkdirSync(dir);
  const me = process.getuid?.() === 0 ? 'root' : (process.env['USER'] ?? 'root');
  const args = ['--cron', '--dir', dir];
  const at = ['--inventory', resolve('inventory/example'), '--state', state];
  return {
    dir,
    state,
    file: join(dir, 'proxwarden'),
    install: (...more: string[]) => inProcess(['install', ...args, ...at, '--user', me, ...more]),
    uninstall: () => inProcess(['uninstall', ...args]),
  };
}

test('a second install changes nothing; uninstall removes what install has written, and nothing else', async (t) => {
  const { dir, state, file, install, uninstall } = place(t);
  const first = await install();
  assert.equal(first.code, 0, told(first));
  const { mtimeMs, mode } = statSync(file);
  assert.equal(mode & 0o777, 0o644);
  writeFileSync(join(dir, 'other'), 'mine');
  writeFileSync(join(state, 'state.json'), 'mine');
  const second = await install();
  assert.deepEqual([second.code, second.stdout.includes('nothing to change')], [0, true]);
  assert.equal(statSync(file).mtimeMs, mtimeMs);
  assert.equal((await uninstall()).code, 0);
  assert.deepEqual([readdirSync(dir), readdirSync(state)], [['other'], ['state.json']]);
  const again = await uninstall();
  assert.deepEqual([again.code, again.stdout.startsWith('nothing of it is installed')], [0, true]);
});

test('a file that is not ours, or that somebody has edited, is neither written over nor removed', async (t) => {
  const { file, install, uninstall } = place(t);
  for (const text of ['* * * * * root mine\n', marked('a\n').replace('\na\n', '\nb\n')]) {
    writeFileSync(file, text);
    assert.deepEqual([(await install()).code, (await uninstall()).code], [4, 4]);
    assert.equal(readFileSync(file, 'utf8'), text);
  }
  // What an older version has written is brought up to date.
  writeFileSync(file, marked('older\n'));
  assert.equal((await install()).code, 0);
  assert.doesNotMatch(readFileSync(file, 'utf8'), /older/);
});

test('what is wrong is said before anything is written; --print writes nothing', async (t) => {
  const { dir, state, install } = place(t);
  const printed = await install('--print');
  assert.equal(printed.code, 0, told(printed));
  assert.match(printed.stdout, /^# .*cron\.d\/proxwarden\n# Made by `proxwarden install`/);
  for (const [words, says] of [
    [['--systemd'], /say one of --systemd and --cron/],
    [['--user', 'nosuch-user'], /there is no user nosuch-user/],
    [['--user', '-x'], /is not the name of a user|needs a value/],
    [['--inventory', '/nowhere'], /does not exist/],
    [['--every', '2m'], /--every 2m is longer than --for 55s/],
    [['--dir', '/nowhere/at/all'], /cannot write .*ENOENT/],
  ] as const) {
    const ran = await install(...words);
    assert.equal(ran.code, 2, told(ran));
    assert.match(ran.stderr, says);
  }
  assert.deepEqual(readdirSync(dir), []);
  assert.ok(!readdirSync(join(state, '..')).includes('inventory'));
});
