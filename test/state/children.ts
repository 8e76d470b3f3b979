/** Real child processes for the tests of locks and leases, and the folders that they share. */
import { build } from 'esbuild';
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { scratchFolder } from '../scratch.ts';

/** Those that a failed test has left; they would keep the test file from ending. */
const running = new Set<ChildProcess>();

/** A folder of its own for one test file; removed at its end. */
export function scratch(): string {
  const dir = scratchFolder('state');
  after(() => {
    for (const child of running) child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });
  return dir;
}

/** Bundles worker.ts into `dir`, with everything in it, so that any user can run it from anywhere. */
export async function bundleWorker(dir: string): Promise<string> {
  const outfile = join(dir, 'worker.mjs');
  await build({
    entryPoints: ['test/state/worker.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'warning',
  });
  chmodSync(dir, 0o755);
  return outfile;
}

export interface Child {
  readonly process: ChildProcess;
  /** Everything that it has printed up to now. */
  stdout(): string;
  stderr(): string;
  /** Resolves when it has printed something. */
  readonly printed: Promise<void>;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

export function startChild(worker: string, args: readonly string[], options: SpawnOptions = {}): Child {
  const child = spawn(process.execPath, [worker, ...args], { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  running.add(child);
  const text = { out: '', err: '' };
  const printed = new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (data: Buffer) => {
      text.out += data.toString();
      resolve();
    });
    child.once('close', () => reject(new Error(`the child ended without a word: ${text.err}`)));
    child.once('error', reject);
  });
  printed.catch(() => undefined);
  child.stderr?.on('data', (data: Buffer) => {
    text.err += data.toString();
  });
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      resolve({ code, signal });
    });
  });
  return { process: child, stdout: () => text.out, stderr: () => text.err, printed, exited };
}

/** Starts so many of them, has them wait for each other, and resolves when all have ended. Throws when one fails. */
export async function runTogether(worker: string, processes: number, args: readonly string[]): Promise<void> {
  const folder = scratchFolder('go');
  const go = join(folder, 'go');
  try {
    const env = { ...process.env, PROXWARDEN_TEST_GO: go };
    const children = Array.from({ length: processes }, () => startChild(worker, args, { env }));
    await Promise.all(children.map((child) => child.printed));
    writeFileSync(go, '');
    const ends = await Promise.all(children.map((child) => child.exited));
    if (ends.some(({ code }) => code !== 0))
      throw new Error(children.map((child) => child.stderr()).join(''));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** kill -9, and waits until it is gone. */
export async function killChild(child: Child): Promise<void> {
  child.process.kill('SIGKILL');
  await child.exited;
}
