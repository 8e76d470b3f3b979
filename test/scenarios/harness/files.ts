/**
 * The file system as runners meet it: what a dead one can't do any more, what counts as a durable write, and on a node
 * of a lab, /etc/pve. From `watchFiles` on, for all code in this thread; whoever is no runner is not concerned.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { dirname } from 'node:path';
import { FILE_MAX_BYTES, refuseFullFolder, systemError } from './cluster-fs.ts';
import { runners, type Runner } from './runner.ts';

let watched = false;

export function watchFiles(): void {
  if (watched) return;
  watched = true;
  watchReads();
  watchWrites();
  watchProcess();
  syncBuiltinESMExports();
}

function call(original: (...args: never[]) => unknown, on: object, args: readonly unknown[]): unknown {
  const result: unknown = Reflect.apply(original, on, args);
  return result;
}

/** The real path of what the present runner calls `path`. */
function real<P>(path: P): P | string {
  const runner = runners.getStore();
  if (runner === undefined || typeof path !== 'string') return path;
  if (path === '/proc/self/mountinfo') return runner.mounts ?? path;
  const { machine } = runner;
  return machine === null ? path : (machine.fs.real(machine.node, path) ?? path);
}

/** The present runner, if the path is on its cluster's file system. */
function onCluster(
  path: unknown,
): { runner: Runner; machine: NonNullable<Runner['machine']>; path: string } | null {
  const runner = runners.getStore();
  const machine = runner?.machine;
  if (runner === undefined || machine == null || typeof path !== 'string' || !machine.fs.holds(path))
    return null;
  return { runner, machine, path };
}

/** Its ticket is released by a dead runner, too: for the others it is as free as a dead process leaves it. */
function refuseDead(path: unknown): void {
  if (runners.getStore()?.dead !== true) return;
  if (onCluster(path) !== null || !String(path).includes('/lock/')) throw new Error('this runner is dead');
}

/** Before a write: only the living may, and on the cluster's file system only with quorum. */
function admit(path: unknown, syscall: string): void {
  refuseDead(path);
  const cluster = onCluster(path);
  if (cluster === null) return;
  cluster.machine.fs.admit(cluster.machine.node, cluster.runner, syscall, cluster.path);
}

/** The same function, with the real path of its first argument, after `before`. */
function patched(
  original: (...args: never[]) => unknown,
  before: (path: unknown) => void = () => undefined,
): (...args: unknown[]) => unknown {
  return (path, ...rest) => {
    before(path);
    return call(original, fs, [real(path), ...rest]);
  };
}

function watchReads(): void {
  const { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, statSync } = fs;
  fs.existsSync = (path) => existsSync(real(path));
  Object.assign(fs, {
    lstatSync: patched(lstatSync),
    statSync: patched(statSync),
    readdirSync: patched(readdirSync),
    readFileSync: patched(readFileSync),
    // There are no links on it.
    realpathSync: (path: string) => {
      const resolved = realpathSync(real(path));
      return real(path) === path ? resolved : path;
    },
  });
}

function isForReading(flags: unknown): boolean {
  const { O_WRONLY, O_RDWR } = fs.constants;
  return typeof flags === 'number' ? (flags & (O_WRONLY | O_RDWR)) === 0 : flags === 'r';
}

function watchWrites(): void {
  const { closeSync, existsSync, mkdirSync, openSync, renameSync, rmdirSync, rmSync } = fs;
  const { symlinkSync, utimesSync, writeFileSync, writeSync } = fs;
  /** Open files of the cluster's file system. */
  const open = new Map<number, string>();
  const admitOpen = (file: unknown): void => {
    const path = typeof file === 'number' ? open.get(file) : undefined;
    if (path !== undefined) admit(path, 'write');
  };
  Object.assign(fs, {
    openSync: (path: unknown, flags: unknown, mode: unknown) => {
      if (!isForReading(flags)) admit(path, 'open');
      if (typeof flags === 'string' && flags !== 'r') runners.getStore()?.allot(String(path));
      const file: unknown = call(openSync, fs, [real(path), flags, mode]);
      if (typeof file === 'number' && onCluster(path) !== null) open.set(file, String(path));
      return file;
    },
    closeSync: (file: number) => {
      open.delete(file);
      closeSync(file);
    },
    writeFileSync: (file: unknown, data: unknown, options: unknown) => {
      admitOpen(file);
      const path = typeof file === 'number' ? open.get(file) : undefined;
      const bytes = typeof data === 'string' || Buffer.isBuffer(data) ? Buffer.byteLength(data) : 0;
      if (path !== undefined && bytes > FILE_MAX_BYTES) throw systemError('EFBIG', 'write', path);
      call(writeFileSync, fs, [real(file), data, options]);
    },
    writeSync: (file: number, ...rest: unknown[]) => {
      admitOpen(file);
      return call(writeSync, fs, [file, ...rest]);
    },
    renameSync: (from: string, to: string) => {
      admit(to, 'rename');
      if (onCluster(from) !== null) refuseFullFolder(real(from), from);
      renameSync(real(from), real(to));
      if (/\/(operations\/[^/]+|state)\.json(\.gz)?$/.test(to)) runners.getStore()?.wrote();
    },
    rmSync: patched(rmSync, (path) => {
      if (onCluster(path) === null || existsSync(String(real(path)))) admit(path, 'unlink');
    }),
    rmdirSync: patched(rmdirSync, (path) => admit(path, 'rmdir')),
    mkdirSync: (path: string, options: unknown) => {
      const there = real(path);
      const cluster = onCluster(path);
      // What can't be made anyhow is seen without asking the others.
      if (cluster !== null && !existsSync(there) && existsSync(dirname(there))) admit(path, 'mkdir');
      const made: unknown = call(mkdirSync, fs, [there, options]);
      cluster?.machine.fs.made(path, cluster.runner);
      return made;
    },
    symlinkSync: (target: string, path: string, type: unknown) => {
      refuseDead(path);
      if (onCluster(path) !== null) throw systemError('ENOSYS', 'symlink', path);
      call(symlinkSync, fs, [target, real(path), type]);
    },
    utimesSync: (path: string, atime: number, mtime: number) => {
      admit(path, 'utime');
      const cluster = onCluster(path);
      if (cluster === null) utimesSync(path, atime, mtime);
      else cluster.machine.fs.touch(cluster.machine.node, path, mtime, cluster.runner);
    },
  });
}

/** On a node it is root who runs it, and what waits without awaiting does so on the lab's time. */
function watchProcess(): void {
  const getuid = process.getuid?.bind(process);
  if (getuid !== undefined) process.getuid = () => (runners.getStore()?.machine == null ? getuid() : 0);
  const { wait } = Atomics;
  Object.assign(Atomics, {
    wait: (array: Int32Array, index: number, value: number, timeout: number) => {
      const runner = runners.getStore();
      if (runner?.machine == null) return call(wait, Atomics, [array, index, value, timeout]);
      runner.block(runner.now() + timeout);
      return 'timed-out';
    },
  });
}
