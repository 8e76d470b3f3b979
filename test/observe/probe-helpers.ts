/** Loopback servers, certificates and throw-away scripts for the tests of probes and connections. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { generate } from 'selfsigned';
import { systemClock } from '../../lib/clock.ts';
import type { ProbeResult } from '../../lib/decide/model.ts';
import { execFile } from '../../lib/exec.ts';
import type { ProbeSpec } from '../../lib/inventory/types.ts';
import { runProbe } from '../../lib/observe/probe.ts';

export const DAY_MS = 86_400_000;

/** Binds `server` to an ephemeral loopback port; ends it and its connections with the test. */
export async function listen(t: TestContext, server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A raw TCP server whose connections are handled by `serve`. */
export function rawServer(t: TestContext, serve: (socket: Socket) => void): Promise<number> {
  return listen(t, createServer(serve));
}

/** A port on which nobody listens (any more). */
export async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(address !== null && typeof address === 'object' ? address.port : 0);
    });
  });
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * A port that behaves like a dead host: a process listens but never accepts, and its queue is full, so that the kernel
 * drops further handshakes without a word.
 */
export async function silentPort(t: TestContext): Promise<number> {
  const code = `const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port) + '\\n');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });`;
  const child = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const data: unknown[] = await once(child.stdout, 'data');
  const port = Number(String(data[0]));
  for (let queued = 0; queued < 4; queued += 1) {
    const filler = connect(port, '127.0.0.1');
    filler.on('error', () => filler.destroy());
    t.after(() => filler.destroy());
    await Promise.race([once(filler, 'connect'), systemClock.sleep(50)]);
  }
  return port;
}

/** An IPv4 address of this machine that is not loopback, if it has one. */
export function outerAddress(): string | undefined {
  const all = Object.values(networkInterfaces()).flat();
  return all.find((each) => each?.internal === false && each.family === 'IPv4')?.address;
}

export interface Identity {
  readonly key: string;
  readonly cert: string;
}

/** A certificate for `names` (default localhost and 127.0.0.1), signed by `ca` or by itself. */
export async function identity(
  options: {
    names?: readonly string[];
    /** Addresses that it is for, beside its names. */
    addresses?: readonly string[];
    from?: number;
    until?: number;
    ca?: Identity;
    isCa?: boolean;
    common?: string;
  } = {},
): Promise<Identity> {
  const now = Date.now();
  const made = await generate([{ name: 'commonName', value: options.common ?? 'proxwarden test' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(options.from ?? now - DAY_MS),
    notAfterDate: new Date(options.until ?? now + DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: options.isCa ?? false, critical: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...(options.names ?? ['localhost']).map((value) => ({ type: 2 as const, value })),
          ...(options.addresses ?? (options.names === undefined ? ['127.0.0.1'] : [])).map((ip) => ({
            type: 7 as const,
            ip,
          })),
        ],
      },
    ],
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });
  return { key: made.private, cert: made.cert };
}

/** A folder that goes with the test. */
export function tempFolder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'proxwarden-test-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** An executable sh script called `name` in a new folder; returns the folder and the file. */
export function script(t: TestContext, name: string, body: string): { dir: string; file: string } {
  const dir = tempFolder(t);
  const file = join(dir, name);
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, 0o755);
  return { dir, file };
}

/** A folder with these programs of the system and no others, for a search path: there may be an fping beside them. */
export function pathWith(t: TestContext, ...programs: readonly string[]): string {
  const dir = tempFolder(t);
  for (const program of programs) symlinkSync(`/usr/bin/${program}`, join(dir, program));
  return dir;
}

const PATH = '/usr/local/bin:/usr/bin:/bin';

/** Runs a probe with the real clock and real processes; one attempt of 400 ms unless `common` says otherwise. */
export function probe(
  spec: DistributiveOmit<ProbeSpec, 'label' | 'timeoutMs' | 'attempts'>,
  common: { timeoutMs?: number; attempts?: number; path?: string; signal?: AbortSignal | undefined } = {},
): Promise<ProbeResult> {
  const { timeoutMs = 400, attempts = 1, path = PATH, signal } = common;
  const deps = { clock: systemClock, exec: execFile, path };
  return runProbe({ ...spec, label: 'the probe', timeoutMs, attempts }, deps, signal);
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** Whether a process with this id runs. A zombie does not, although in some sandboxes nobody buries it. */
export function lives(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Polls until `holds`; fails after `limitMs`, naming `what`. */
export async function eventually(what: string, holds: () => boolean, limitMs = 2000): Promise<void> {
  for (const start = Date.now(); Date.now() - start < limitMs; await systemClock.sleep(10))
    if (holds()) return;
  throw new Error(`${what}: not within ${limitMs} ms`);
}
