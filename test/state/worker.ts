/** What the tests run in real child processes: `node worker.mjs MODE DIR …`. Bundled by children.ts. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../lib/clock.ts';
import { BlockedError, LockedError, messageOf, ProxwardenError } from '../../lib/errors.ts';
import { lockAt } from '../../lib/state/cluster-lock.ts';
import { writeDurable } from '../../lib/state/durable.ts';
import { withLock } from '../../lib/state/lock.ts';
import { newOperationId, openOperations } from '../../lib/state/operations.ts';
import { thisProcess } from '../../lib/state/owner.ts';
import { openState } from '../../lib/state/store.ts';
import { attemptAll } from './attempts.ts';
import { draftOperation } from './fixtures.ts';

const [mode = '', dir = '', third = ''] = process.argv.slice(2);
const randomHex = (bytes: number): string => randomBytes(bytes).toString('hex');
const options = { clock: systemClock, timeoutMs: 60_000 };

/** For all of them, so that they really meet. */
function waitForTheOthers(go: string): void {
  writeFileSync(1, 'ready\n');
  while (!existsSync(go)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
}

function pauseForever(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

async function count(times: number): Promise<void> {
  const path = join(dir, 'counter');
  for (let i = 0; i < times; i += 1)
    await withLock(dir, options, () => {
      // Deliberately not atomic: only the lock keeps the others from reading in between.
      const next = Number(readFileSync(path, 'utf8')) + 1;
      writeFileSync(path, '');
      writeFileSync(path, String(next));
    });
}

/** The lock of pmxcfs on an ordinary file system, where it doesn't expire. */
function countByMkdir(times: number): void {
  const path = join(dir, 'counter');
  const lock = lockAt(join(dir, 'lock'), systemClock, () => undefined);
  for (let done = 0; done < times;) {
    const taken = lock.tryTake();
    if (taken.mine) {
      const next = Number(readFileSync(path, 'utf8')) + 1;
      writeFileSync(path, '');
      taken.assertHeld();
      writeFileSync(path, String(next));
      taken.release();
      done += 1;
    } else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
  }
}

async function fill(name: string): Promise<void> {
  const path = join(dir, 'names');
  for (let i = 0; ; i += 1) {
    await withLock(dir, options, () => writeDurable(path, `${readFileSync(path, 'utf8')}${name}-${i}\n`));
    process.stdout.write(`${name}-${i}\n`);
  }
}

/** Writes once and dies with the lock in its hand. */
function fillAndDie(name: string): Promise<void> {
  const path = join(dir, 'names');
  return withLock(dir, options, () => {
    writeDurable(path, `${readFileSync(path, 'utf8')}${name}\n`);
    process.kill(process.pid, 'SIGKILL');
    pauseForever();
  });
}

async function update(times: number): Promise<void> {
  const store = openState(dir, options);
  for (let i = 0; i < times;)
    try {
      await store.update((state) => {
        state.lastRunAt = (state.lastRunAt ?? 0) + 1;
        state.told[`${process.pid}.${i}`] = 'x';
      });
      i += 1;
    } catch (error) {
      if (!isFull(error)) throw error;
    }
}

/** Until the others have had their try: a lease ends with its process. */
function stayWhile(go: string): void {
  while (existsSync(go)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
}

/** The lock is in great demand: whoever has waited for ten seconds in vain tries again, as the next run does. */
function isFull(error: unknown): boolean {
  return error instanceof LockedError && error.message.startsWith('the state folder');
}

/** Asks for what only one process may get, says whether it was this one, and holds it until all have asked. */
function contend(get: () => boolean): void {
  let mine: boolean | undefined;
  while (mine === undefined)
    try {
      mine = get();
    } catch (error) {
      if (isFull(error)) continue;
      if (!(error instanceof LockedError || error instanceof BlockedError)) throw error;
      mine = false;
    }
  writeFileSync(1, mine ? 'won\n' : 'refused\n');
  if (mine) stayWhile(process.env['PROXWARDEN_TEST_GO'] ?? '');
}

async function work(): Promise<void> {
  const operations = openOperations(dir, options);
  if (mode === 'create')
    contend(() => operations.create(draftOperation(newOperationId(0, randomHex), third)).container === third);
  else if (mode === 'claim') contend(() => operations.claim(operations.load(third)));
  else if (mode === 'count') await count(Number(third));
  else if (mode === 'mkdir') countByMkdir(Number(third));
  else if (mode === 'fill') await fill(third);
  else if (mode === 'die') await fillAndDie(third);
  else if (mode === 'update') await update(Number(third));
  else if (mode === 'hold')
    await withLock(dir, options, () => {
      writeFileSync(1, 'held\n');
      pauseForever();
    });
  else if (mode === 'operate') {
    const op = operations.create(draftOperation(third, 'dns'));
    writeFileSync(1, `${op.id}\n`);
    pauseForever();
  } else if (mode === 'attempts') writeFileSync(1, JSON.stringify(await attemptAll(dir)));
  else if (mode === 'whoami') {
    writeFileSync(1, `${JSON.stringify(thisProcess())}\n`);
    pauseForever();
  } else throw new Error(`unknown mode ${mode}`);
}

try {
  const go = process.env['PROXWARDEN_TEST_GO'];
  if (go !== undefined) waitForTheOthers(go);
  await work();
} catch (error) {
  process.stderr.write(`${error instanceof ProxwardenError ? error.name : 'bug'}: ${messageOf(error)}\n`);
  process.exitCode = error instanceof ProxwardenError ? error.exitCode : 70;
}
