/**
 * A root shell on a node: the runner's own, or ssh, through zx. Never asks for anything, never trusts an unknown host
 * key. What it runs are the scripts of shell-scripts.ts.
 */
import { hostname } from 'node:os';
import { killGroup, releasePipes } from '../exec.ts';
import { readRegularFile } from '../file.ts';
import type { ShellConfig } from '../inventory/types.ts';
import type { ShellRequest, ShellResult } from '../runtime.ts';
import { plainText } from '../text.ts';
import { formatDuration } from '../units.ts';
import { scriptOf } from './shell-scripts.ts';

const CONNECT_SECONDS = 10;
const TIMEOUT_MS = 60_000;

interface Places {
  /** Where ssh is looked for. */
  readonly path: string;
  /** Where the cluster's file system is on the nodes. */
  readonly pmxcfs?: string;
  /** How long an order may take. Default: a minute. */
  readonly timeoutMs?: number;
}

/** Has an order carried out on the node. Rejects only when the signal aborts. */
export async function rootShell(
  request: ShellRequest,
  { path, pmxcfs = '/etc/pve', timeoutMs = TIMEOUT_MS }: Places,
): Promise<ShellResult> {
  const { node, order, signal } = request;
  const inner = ['-c', ...scriptOf(order, node, pmxcfs)];
  const target = sshTarget(request);
  if (target !== null && 'kind' in target) return target;
  // Loaded here: most runs have no use for it, and zx is 30 ms of start-up.
  const { $ } = await import('zx/core');
  signal?.throwIfAborted();
  const command =
    target === null ? ['sh', ...inner] : ['ssh', ...target, ['sh', ...inner].map(quoted).join(' ')];
  const run = $({
    env: { PATH: path, LC_ALL: 'C' },
    nothrow: true,
    quiet: true,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })`${command}`;
  releasePipes(run.child);
  let stopped = false;
  const stop = (): void => {
    stopped = true;
    if (run.pid !== undefined) killGroup(run.pid, 'SIGKILL');
  };
  const timer = setTimeout(stop, timeoutMs);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const { exitCode, stdout, stderr } = await run;
    signal?.throwIfAborted();
    return outcome({ exitCode, stdout, stderr, stopped: stopped ? timeoutMs : null }, request);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

/** Arguments of ssh up to the host; null: the runner is that node. A result: it can't be reached this way. */
function sshTarget({ shell, node, host }: ShellRequest): string[] | ShellResult | null {
  if (!/^[0-9A-Za-z]([0-9A-Za-z.:_-]*[0-9A-Za-z])?$/.test(host))
    return { kind: 'not-sent', why: `its address ${JSON.stringify(host)} is none that ssh could take` };
  const always = [
    '-o BatchMode=yes',
    '-o StrictHostKeyChecking=yes',
    `-o ConnectTimeout=${CONNECT_SECONDS}`,
    '-o ServerAliveInterval=5',
    '-o ServerAliveCountMax=3',
    '-o ForwardAgent=no',
    '-o ClearAllForwardings=yes',
    '-T',
  ].flatMap((option) => option.split(' '));
  if (shell.kind === 'local') {
    if (hostname().split('.')[0] === node) return null;
    // As the nodes of a cluster reach each other (PVE::SSHInfo of 8.2 and later; unmeasured).
    const known = [`/etc/pve/nodes/${node}/ssh_known_hosts`, '/etc/pve/priv/known_hosts'].join(' ');
    return [
      ...always,
      '-o',
      `HostKeyAlias=${node}`,
      '-o',
      `UserKnownHostsFile=${known}`,
      '--',
      `root@${host}`,
    ];
  }
  const problem = keyProblem(shell);
  if (problem !== null) return { kind: 'not-sent', why: problem };
  return [
    ...always,
    ...(shell.key === null ? [] : ['-i', shell.key, '-o', 'IdentitiesOnly=yes']),
    ...(shell.knownHosts === null
      ? []
      : ['-o', `UserKnownHostsFile="${shell.knownHosts}"`, '-o', 'GlobalKnownHostsFile=/dev/null']),
    '-p',
    String(shell.port),
    '--',
    `${shell.user}@${host}`,
  ];
}

/** ssh goes on without a key file that it can't read, and then says something else. */
function keyProblem({ key, knownHosts }: Extract<ShellConfig, { kind: 'ssh' }>): string | null {
  for (const file of [key, knownHosts]) {
    if (file === null) continue;
    try {
      readRegularFile(file, { most: 0 });
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : '';
      return `${file}, which the inventory names for ssh, can't be read (${code})`;
    }
  }
  return null;
}

/** For a POSIX shell at the other end, whatever is in it. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

interface Ran {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** By us, after so many milliseconds: it took too long. */
  readonly stopped: number | null;
}

/** What ssh says when it has not got as far as to ask for anything, with what a person does about it. */
const UNREACHED: readonly (readonly [RegExp, (request: ShellRequest) => { why: string; hint: string }])[] = [
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|No \S+ host key is known/,
    ({ host, node }) => ({
      why: `the host key of ${host} is not the one that is known for it: nothing was sent`,
      hint: `if ${node} is new there or got a new key, write its key (/etc/ssh/ssh_host_ed25519_key.pub on it) into the known hosts`,
    }),
  ],
  [
    /Permission denied|Too many authentication failures/,
    ({ shell, host }) => ({
      why: `${host} does not take the key of ${shell.kind === 'ssh' ? shell.user : 'root'}`,
      hint: 'put its public key into ~/.ssh/authorized_keys there; it must have no passphrase',
    }),
  ],
  [
    /Connection (refused|timed out)|No route to host|Network is unreachable|Could not resolve hostname|Operation timed out|port \d+: \S/,
    ({ host, node }) => ({
      why: `ssh does not reach ${host}`,
      hint: `is sshd running on ${node}, and is the port right?`,
    }),
  ],
];

function outcome({ exitCode, stdout, stderr, stopped }: Ran, request: ShellRequest): ShellResult {
  const lines = stdout.trimEnd().split('\n');
  const last = lines.at(-1) ?? '';
  const said = lines.slice(0, -1).join('\n').trim();
  const [, code] = /^proxwarden: ended (\d{1,3})$/.exec(last) ?? [];
  if (last === 'proxwarden: begun') return { kind: 'begun' };
  if (code !== undefined) return { kind: 'ended', exitCode: Number(code), output: said };
  if (last === 'proxwarden: not begun')
    return { kind: 'not-sent', why: plainText(said, 300) || 'it could not be begun' };
  if (exitCode === 127 && request.shell.kind === 'ssh')
    return { kind: 'not-sent', why: 'there is no ssh on the runner', hint: 'install openssh-client' };
  const unreached = stopped !== null ? undefined : UNREACHED.find(([pattern]) => pattern.test(stderr));
  const detail = plainText(stderr.trim().split('\n').at(-1) ?? '', 300);
  if (unreached !== undefined && exitCode === 255) {
    const { why, hint } = unreached[1](request);
    return { kind: 'not-sent', why: `${why} (${detail})`, hint };
  }
  return {
    kind: 'unknown',
    why:
      stopped !== null
        ? `no answer within ${formatDuration(stopped)}`
        : `the connection to ${request.host} was lost (${detail || `exit ${exitCode ?? 'by a signal'}`})`,
  };
}
