/**
 * The built command as real processes, against a lab on loopback that lives in the test's own process. Whatever a
 * process prints is looked through: no secret, no stack trace, no escape sequence ever.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { FailedError } from '../../lib/errors.ts';
import { labUp, type RunningLab } from '../../lib/lab/control.ts';
import { EXAMPLE_TOKEN_ID, exampleInventory, examplePorts } from '../../lib/lab/example.ts';
import type { WorldSpec } from '../../lib/lab/types.ts';
import { freePort } from '../lab/sockets.ts';
import { tokenSecret } from '../secrets.ts';

/** Where `npm run build` puts it; another build can be tested by naming it. */
export const COMMAND = resolve(process.env['PROXWARDEN_BIN'] ?? 'dist/proxwarden.js');

/** As node:test's TestContext, or what a suite's `before` gives. */
export interface Ends {
  after(end: () => Promise<void> | void): void;
}

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface Options {
  readonly cwd?: string | undefined;
  /** Added to an environment that has nothing of ProxWarden's; undefined takes something away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Called with the process as soon as it runs. */
  readonly meanwhile?: ((child: ChildProcess) => Promise<void> | void) | undefined;
  /** It is killed when it takes longer; default: a minute. */
  readonly limitMs?: number;
}

/** Makes a command look for secrets in what it does itself, as these tests do: scripts/dev/leaks.mjs. */
export const WATCHED: Readonly<Record<string, string>> =
  process.env['PROXWARDEN_LEAKS'] === undefined
    ? {}
    : {
        PROXWARDEN_LEAKS: process.env['PROXWARDEN_LEAKS'],
        NODE_OPTIONS: `--import ${pathToFileURL(resolve('scripts/dev/leaks.mjs')).href}`,
      };

/** Must not be printed by any process. */
const secrets = new Set<string>();

export function keepSecret(secret: string): void {
  secrets.add(secret);
}

/** Runs the command to its end. */
export async function proxwarden(words: readonly string[], options: Options = {}): Promise<Ran> {
  const begun = performance.now();
  const child = spawn(process.execPath, [COMMAND, ...words], {
    cwd: options.cwd ?? tmpdir(),
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...WATCHED, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const limit = setTimeout(() => child.kill('SIGKILL'), options.limitMs ?? 60_000);
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const closed = once(child, 'close');
  try {
    await options.meanwhile?.(child);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    await closed;
    clearTimeout(limit);
  }
  const ran = {
    code: child.exitCode,
    signal: child.signalCode,
    stdout,
    stderr,
    ms: performance.now() - begun,
  };
  assertClean(words, ran);
  return ran;
}

export function assertClean(words: readonly string[], { stdout, stderr }: Ran): void {
  const all = stdout + stderr;
  const said = `\`proxwarden ${words.join(' ')}\` printed:\n${all}`;
  for (const secret of secrets) assert.ok(!all.includes(secret), `a secret is in what ${said}`);
  assert.doesNotMatch(all, /^\s+at .+[:(]\d+/m, `a stack trace: ${said}`);
  assert.doesNotMatch(all, /\(a bug|UnhandledPromise|ExceptionWarning|LeakWarning|ExceededWarning/, said);
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(all, /\u001b/, `an escape sequence: ${said}`);
}

export interface Stage {
  readonly folder: string;
  /** The inventory folder. */
  readonly dir: string;
  readonly state: string;
  readonly portBase: number;
  readonly lab: RunningLab['lab'];
  readonly secret: string;
  /** With --inventory and --state of this stage. */
  run(...words: string[]): Promise<Ran>;
  runWith(options: Options, ...words: string[]): Promise<Ran>;
  /** Another inventory folder beside this one, with home.yaml changed by `edit`. */
  inventory(name: string, edit: (yaml: string) => string): string;
  /** Kills a node, and waits until the others call it offline. */
  nodeDies(node: string): Promise<void>;
  /** The node is back, its API and its autostarts done. */
  nodeReturns(node: string): Promise<void>;
  /** Names of the containers with running copies, once for each copy. */
  running(): string[];
}

export interface StageOptions {
  /** How a command is run. Default: as a process of its own. */
  readonly command?: typeof proxwarden;
  readonly speed?: number;
  /** Changes the example's inventory. */
  readonly edit?: (yaml: string) => string;
  /** The state folder; default: a new one. */
  readonly state?: string;
  /** Changes the example's world. */
  readonly world?: (example: WorldSpec) => WorldSpec;
}

/** The example's lab, fast; one failure is enough there, and there is no cooldown. */
export async function openStage(t: Ends, options: StageOptions = {}): Promise<Stage> {
  assert.ok(existsSync(COMMAND), `${COMMAND} is missing: npm run build`);
  const folder = mkdtempSync(join(tmpdir(), 'proxwarden-e2e-'));
  const dir = join(folder, 'inventory');
  const state = options.state ?? join(folder, 'state');
  const speed = options.speed ?? 10;
  const edit = options.edit ?? ((yaml) => yaml);
  const yaml = (portBase: number): string => edit(quick(exampleInventory(portBase)));
  mkdirSync(dir);
  cpSync(join('inventory', 'example', 'hooks'), join(dir, 'hooks'), { recursive: true });
  // The lab keeps a token that is there.
  const secret = tokenSecret();
  mkdirSync(join(dir, '.lab'), { mode: 0o700 });
  writeFileSync(join(dir, '.lab', 'token'), `${EXAMPLE_TOKEN_ID}=${secret}\n`, { mode: 0o600 });
  const [running, portBase] = await up(dir, { ...options, speed }, yaml);
  const { lab } = running;
  keepSecret(secret);
  t.after(async () => {
    await running.close();
    assertNotIn(state, secret);
    rmSync(folder, { recursive: true, force: true });
  });
  const runWith = (extra: Options, ...words: string[]): Promise<Ran> =>
    (options.command ?? proxwarden)([...words, '--inventory', dir, '--state', state], {
      cwd: folder,
      ...extra,
    });
  return {
    folder,
    dir,
    state,
    portBase,
    lab,
    secret,
    runWith,
    run: (...words) => runWith({}, ...words),
    inventory(name, change) {
      const other = join(folder, name);
      cpSync(dir, other, { recursive: true, filter: (path) => !path.endsWith('run.json') });
      writeFileSync(join(other, 'home.yaml'), change(readFileSync(join(dir, 'home.yaml'), 'utf8')));
      return other;
    },
    async nodeDies(node) {
      const seen = lab.events.length;
      lab.kill(node);
      await until(() => lab.events.slice(seen).some((e) => e.text.includes(`node ${node}: offline`)));
    },
    async nodeReturns(node) {
      lab.revive(node);
      await until(() => lab.status().nodes.every((n) => n.api && n.quorate));
      await sleep(15_000 / speed);
    },
    running: () =>
      lab
        .running()
        .map((copy) => copy.hostname)
        .toSorted(),
  };
}

function quick(yaml: string): string {
  return yaml
    .replace('interval: 10s', 'interval: 1s')
    .replace('failureThreshold: 3', 'failureThreshold: 1')
    .replace('cooldown: 1h', 'cooldown: 0s');
}

/** A free base may have been taken when it is used: then another one. */
async function up(
  dir: string,
  { speed, world }: StageOptions & { readonly speed: number },
  yaml: (portBase: number) => string,
): Promise<readonly [RunningLab, number]> {
  const { api, ...others } = examplePorts(20_000);
  const offsets = [...Object.values(api), ...Object.values(others)].map((port) => port - 20_000);
  for (let attempt = 0; ; attempt += 1) {
    const portBase = await freePort(...offsets);
    writeFileSync(join(dir, 'home.yaml'), yaml(portBase));
    try {
      return [await labUp({ dir, speed, portBase, ...(world === undefined ? {} : { world }) }), portBase];
    } catch (error) {
      if (!(error instanceof FailedError) || attempt === 4) throw error;
    }
  }
}

export async function until(done: () => boolean, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!done()) {
    assert.ok(performance.now() < end, 'it did not happen in time');
    await sleep(10);
  }
}

function assertNotIn(folder: string, secret: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    assert.ok(!readFileSync(path, 'utf8').includes(secret), `the secret is in ${path}`);
  }
}

/** Asserts how a run ended: its code, that stderr is one line (and hints) that matches, and nothing on stdout. */
export function assertRefused(ran: Ran, code: number, says: RegExp): void {
  const said = told(ran);
  assert.equal(ran.code, code, said);
  assert.match(ran.stderr, says, said);
  assert.equal(ran.stdout, '', said);
  const lines = ran.stderr.trimEnd().split('\n');
  assert.equal(lines.filter((line) => !line.startsWith('  → ')).length, 1, `not one line: ${said}`);
  assert.match(lines[0] ?? '', /^proxwarden: /, said);
}

/** How a run ended, for the message of an assertion. */
export function told(ran: Ran): string {
  return `exit ${ran.code}:\n${ran.stdout}${ran.stderr}`;
}

/** Where everybody was in the beginning: the example's four, running, with onboot. */
export function assertUntouched({ lab }: Stage, others: readonly number[] = []): void {
  const there = lab
    .status()
    .containers.filter((c) => !others.includes(c.vmid))
    .map((c) => `${c.vmid} ${c.node} ${c.onboot}`);
  assert.deepEqual(there, ['101 pve1 true', '102 pve1 true', '103 pve2 true', '104 pve3 true']);
  assert.deepEqual(lab.violations, []);
}
