/** The root shell against a real sshd on loopback, with keys and host keys of its own. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { rootShell } from '../../lib/act/root-shell.ts';
import { Bench } from '../lab/world.ts';
import type { ShellOrder, ShellRequest, ShellResult } from '../../lib/runtime.ts';

const SSHD = ['/usr/sbin/sshd', '/usr/local/sbin/sshd'].find((path) => existsSync(path));
// sshd of somebody else than root takes only its own user, which is enough here; CI installs it.
const SKIP = SSHD === undefined && process.env['CI'] === undefined ? 'there is no sshd here' : false;

/** What pct does: `said` on its output, then the exit code; it notes what it was called with. */
const PCT = `#!/bin/sh
here=$(dirname "$0")
printf '%s\\n' "$@" >"$here/called"
env >"$here/env"
case $(cat "$here/behave" 2>/dev/null) in
  slow) sleep 2.6; echo late >"$here/done" ;;
  refuses) echo "CT 1101 already exists on node 'pve2'" >&2; exit 255 ;;
  *) echo 'extracting archive'; exit 0 ;;
esac
`;

const RESTORE: ShellOrder = { kind: 'pct', args: ['restore', '1101', 'nas:a'], paths: [] };

describe('a root shell over ssh', { skip: SKIP }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'pw-sshd-'));
  const file = (name: string): string => join(dir, name);
  const bin = file('bin');
  let port = 0;
  let daemon: ChildProcess | undefined;

  const read = (name: string): string => readFileSync(join(bin, name), 'utf8');
  const keygen = (name: string): void =>
    void execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file(name)]);
  const publicKey = (name: string): string => readFileSync(file(`${name}.pub`), 'utf8').trim();
  const program = (name: string, text: string): void => {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  };

  before(async () => {
    mkdirSync(bin);
    for (const name of ['host', 'other-host', 'user', 'stranger']) keygen(name);
    port = await freePort();
    writeFileSync(file('authorized'), `${publicKey('user')}\n`);
    writeFileSync(file('known'), `[127.0.0.1]:${port} ${publicKey('host')}\n`);
    writeFileSync(file('known-wrong'), `[127.0.0.1]:${port} ${publicKey('other-host')}\n`);
    writeFileSync(file('known-none'), '');
    writeFileSync(
      file('config'),
      [
        `ListenAddress 127.0.0.1:${port}`,
        `HostKey ${file('host')}`,
        `AuthorizedKeysFile ${file('authorized')}`,
        'StrictModes no',
        'PasswordAuthentication no',
        'KbdInteractiveAuthentication no',
        'UsePAM no',
        'PermitRootLogin yes',
        'PidFile none',
        `SetEnv PATH=${bin}:/usr/bin:/bin`,
      ].join('\n'),
    );
    program('uname', '#!/bin/sh\necho pve2.home.example\n');
    if (SSHD === undefined) throw new Error('CI must have an sshd: apt-get install openssh-server');
    if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    daemon = spawn(SSHD, ['-D', '-e', '-f', file('config')], { stdio: 'ignore' });
    await answering(port);
  });
  after(() => {
    daemon?.kill();
    rmSync(dir, { recursive: true, force: true });
  });

  function call(
    patch: Partial<ShellRequest> & { key?: string; known?: string; port?: number } = {},
  ): Promise<ShellResult> {
    const { key = 'user', known = 'known', port: at = port, ...rest } = patch;
    return rootShell(
      {
        shell: { kind: 'ssh', user: userInfo().username, port: at, key: file(key), knownHosts: file(known) },
        node: 'pve2',
        host: '127.0.0.1',
        order: RESTORE,
        ...rest,
      },
      { path: '/usr/bin:/bin', pmxcfs: file('pve') },
    );
  }
  function behaves(how: string): void {
    program('pct', PCT);
    writeFileSync(join(bin, 'behave'), how);
    for (const name of ['called', 'done', 'env']) rmSync(join(bin, name), { force: true });
  }
  const untouched = (): void => assert.equal(existsSync(join(bin, 'called')), false, 'pct was run');

  test('it runs, with every argument as it is', async () => {
    behaves('');
    const args = ['restore', '1101', 'a\'b $HOME `id` \\ "x"', '', '--description', 'two\nlines; ü'];
    const result = await call({ order: { kind: 'pct', args, paths: [] } });
    assert.deepEqual(result, { kind: 'ended', exitCode: 0, output: 'extracting archive' });
    assert.equal(read('called'), `${args.join('\n')}\n`);
    assert.doesNotMatch(read('env'), /PROXWARDEN|TOKEN/);
  });

  test('pct refuses: its own words', async () => {
    behaves('refuses');
    assert.deepEqual(await call(), {
      kind: 'ended',
      exitCode: 255,
      output: "CT 1101 already exists on node 'pve2'",
    });
  });

  test('it takes longer, and goes on when ssh is killed', async () => {
    behaves('slow');
    const abort = new AbortController();
    const run = call({ signal: abort.signal });
    while (!existsSync(join(bin, 'called'))) await sleep(20);
    abort.abort(new Error('killed'));
    await assert.rejects(run, /killed/);
    for (let look = 0; look < 120 && !existsSync(join(bin, 'done')); look += 1) await sleep(50);
    assert.equal(read('done'), 'late\n');
  });

  test('it takes longer: begun', async () => {
    behaves('slow');
    assert.deepEqual(await call(), { kind: 'begun' });
  });

  describe('configs in the lab’s own cluster file system', () => {
    const CONFIG = 'nodes/pve1/lxc/101.conf';
    const ASIDE = 'proxwarden/retired/CT101-of-dns-epoch0-from-home-pve1-by-op-1.conf';
    const bench = new Bench({ configDir: file('pve') });
    const text = (): string => readFileSync(join(file('pve'), CONFIG), 'utf8');
    const sum = (): string => createHash('sha1').update(text()).digest('hex');
    const listed = (): unknown => bench.lab.status().containers.map((c) => `${c.node}/${c.vmid}`);
    const move = (from: string, to: string, sha1: string): Promise<ShellResult> =>
      call({ order: { kind: 'move-config', from, to, sha1 } });
    const refused = async (order: Promise<ShellResult>, why: RegExp): Promise<void> => {
      const result = await order;
      assert.equal(result.kind, 'not-sent', JSON.stringify(result));
      assert.match('why' in result ? result.why : '', why);
    };
    after(() => bench.lab.close());

    test('read, moved aside and back, each time once', async () => {
      const sha1 = sum();
      const result = await call({ order: { kind: 'read-config', path: CONFIG } });
      assert.deepEqual(result, { kind: 'ended', exitCode: 0, output: `${sha1}  -\n${text().trim()}` });
      await refused(move(CONFIG, ASIDE, '0'.repeat(40)), /101\.conf is not the file that was looked at/);
      for (let times = 0; times < 2; times += 1)
        assert.deepEqual(await move(CONFIG, ASIDE, sha1), { kind: 'ended', exitCode: 0, output: '' });
      assert.deepEqual(listed(), ['pve2/102', 'pve3/103']);
      assert.deepEqual(bench.lab.files('proxwarden/retired'), [ASIDE]);
      await refused(call({ order: { kind: 'read-config', path: CONFIG } }), /there is no .*101\.conf/);
      for (let times = 0; times < 2; times += 1)
        assert.deepEqual(await move(ASIDE, CONFIG, sha1), { kind: 'ended', exitCode: 0, output: '' });
      assert.deepEqual(listed(), ['pve1/101', 'pve2/102', 'pve3/103']);
      await refused(move('nodes/pve1/lxc/999.conf', ASIDE, sha1), /there is no .*999\.conf/);
    });

    test('nothing is overwritten, and nothing written without quorum', async () => {
      writeFileSync(join(file('pve'), ASIDE), 'of somebody else');
      await refused(move(CONFIG, ASIDE, sum()), /there is a .*CT101-of-dns.* already/);
      rmSync(join(file('pve'), ASIDE));
      const members = readFileSync(join(file('pve'), '.members'), 'utf8');
      writeFileSync(join(file('pve'), '.members'), members.replace('"quorate": 1', '"quorate": 0'));
      await refused(move(CONFIG, ASIDE, sum()), /pve2 has no quorum/);
      rmSync(join(file('pve'), '.members'));
      await refused(move(CONFIG, ASIDE, sum()), /is not the cluster's file system/);
      writeFileSync(join(file('pve'), '.members'), members);
      assert.deepEqual(listed(), ['pve1/101', 'pve2/102', 'pve3/103']);
    });

    test('an orphan is ended, and nothing that is none', async () => {
      program('lxc-stop', '#!/bin/sh\nprintf "%s\\n" "$@" >"$(dirname "$0")/stopped"\n');
      const stop = (vmid: number): Promise<ShellResult> => call({ order: { kind: 'stop-orphan', vmid } });
      await refused(stop(102), /CT 102 has its config on pve2: it is no orphan/);
      await refused(stop(104), /no node has a config of CT 104: it may be the only copy/);
      assert.equal(existsSync(join(bin, 'stopped')), false);
      assert.deepEqual(await stop(101), { kind: 'ended', exitCode: 0, output: '' });
      assert.equal(read('stopped'), '-k\n-n\n101\n');
    });

    test('powered off: it answers first, and the order goes on without the connection', async () => {
      program('systemctl', '#!/bin/sh\necho "$@" >"$(dirname "$0")/powered"\n');
      const result = await call({ order: { kind: 'power-off' } });
      assert.deepEqual(result, { kind: 'ended', exitCode: 0, output: '' });
      for (let n = 0; n < 100 && !existsSync(join(bin, 'powered')); n += 1) await sleep(100);
      assert.equal(read('powered'), 'poweroff\n');
    });

    test('a greeting changes nothing', async () => {
      behaves('');
      assert.deepEqual(await call({ order: { kind: 'greet' } }), { kind: 'ended', exitCode: 0, output: '' });
      untouched();
    });
  });

  const nothing: readonly (readonly [string, Parameters<typeof call>[0], RegExp])[] = [
    [
      'another host key',
      { known: 'known-wrong' },
      /host key of 127\.0\.0\.1 is not the one that is known.*nothing was sent/,
    ],
    ['an unknown host key', { known: 'known-none' }, /host key of 127\.0\.0\.1/],
    ['a key that the node does not take', { key: 'stranger' }, /does not take the key of/],
    [
      'no key file',
      { key: 'nowhere' },
      /nowhere, which the inventory names for ssh, can't be read \(ENOENT\)/,
    ],
    ['a strange address', { host: '-oProxyCommand=id' }, /is none that ssh could take/],
    ['another machine', { node: 'pve3' }, /this is pve2\.home\.example, not pve3/],
    [
      'a path that is not there',
      { order: { kind: 'pct', args: [], paths: ['/usr', '/srv/no such folder'] } },
      /there is no \/srv\/no such folder on pve2/,
    ],
  ];
  for (const [what, patch, why] of nothing)
    test(`nothing is begun: ${what}`, async () => {
      behaves('');
      const result = await call(patch);
      assert.equal(result.kind, 'not-sent', JSON.stringify(result));
      assert.match('why' in result ? result.why : '', why);
      untouched();
    });

  test('nothing is begun: nobody listens, or there is no pct', async () => {
    behaves('');
    const silent = await call({ port: await freePort() });
    assert.equal(silent.kind, 'not-sent');
    rmSync(join(bin, 'pct'));
    const result = await call();
    assert.match('why' in result ? result.why : result.kind, /there is no pct on pve2/);
  });

  test('a connection that is lost in the middle leaves it open', async () => {
    behaves('slow');
    program('uname', '#!/bin/sh\nkill -9 $(sed -n "s/^PPid:.//p" /proc/$PPID/status)\nsleep 1\n');
    const result = await call();
    program('uname', '#!/bin/sh\necho pve2.home.example\n');
    assert.equal(result.kind, 'unknown', JSON.stringify(result));
  });

  test('the runner is that node: no ssh at all', async () => {
    behaves('refuses');
    const result = await rootShell(
      {
        shell: { kind: 'local' },
        node: hostname().split('.')[0] ?? '',
        host: '127.0.0.1',
        order: RESTORE,
      },
      { path: `${bin}:/usr/bin:/bin` },
    );
    // uname here says pve2: the script looks for itself.
    assert.match('why' in result ? result.why : result.kind, /this is pve2\.home\.example, not/);
    untouched();
    rmSync(join(bin, 'uname'));
    const own = await rootShell(
      {
        shell: { kind: 'local' },
        node: hostname().split('.')[0] ?? '',
        host: '127.0.0.1',
        order: RESTORE,
      },
      { path: `${bin}:/usr/bin:/bin` },
    );
    assert.equal(own.kind, 'ended');
    program('uname', '#!/bin/sh\necho pve2.home.example\n');
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const at = server.address();
  const port = at !== null && typeof at === 'object' ? at.port : 0;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function answering(port: number): Promise<void> {
  const { connect } = await import('node:net');
  for (let look = 0; look < 200; look += 1) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await sleep(25);
  }
  throw new Error('sshd does not answer');
}
