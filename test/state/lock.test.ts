import assert from 'node:assert/strict';
import {
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { LockedError } from '../../lib/errors.ts';
import { withLock, withLockSync } from '../../lib/state/lock.ts';
import { thisProcess, type Owner } from '../../lib/state/owner.ts';
import { highestTicket, makeTicket, ticketPath } from '../../lib/state/tickets.ts';
import { bundleWorker, killChild, runTogether, scratch, startChild } from './children.ts';
import { elsewhere } from './fixtures.ts';

const root = scratch();
let worker = '';
before(async () => {
  worker = await bundleWorker(root);
});

function newDir(): string {
  return mkdtempSync(join(root, 'state-'));
}

/** A state folder whose lock looks like this. */
function lockedBy(ticket: Owner | string, number = 7): string {
  const dir = newDir();
  mkdirSync(join(dir, 'lock'));
  symlinkSync(
    typeof ticket === 'string' ? ticket : JSON.stringify(ticket),
    ticketPath(join(dir, 'lock'), number),
  );
  return dir;
}

/** Sleeps pass at once. */
function fastClock(): Clock & { slept: number } {
  return {
    slept: 0,
    now: () => 0,
    async sleep(ms) {
      this.slept += ms;
    },
  };
}

const system = { clock: systemClock };

describe('the lock', () => {
  test('12 processes that ask for it at the same time lose no increment', async () => {
    const dir = newDir();
    writeFileSync(join(dir, 'counter'), '0');
    await runTogether(worker, 12, ['count', dir, '25']);
    assert.equal(readFileSync(join(dir, 'counter'), 'utf8'), '300');
    assert.ok(readdirSync(join(dir, 'lock')).length <= 53, 'old tickets are deleted');
    assert.equal(highestTicket(join(dir, 'lock')), 300, 'one ticket each, none twice');
  });

  test('killed at any moment, holders neither keep the lock nor lose what was written', async () => {
    const dir = newDir();
    writeFileSync(join(dir, 'names'), '');
    const children = Array.from({ length: 5 }, (_, i) => startChild(worker, ['fill', dir, `child${i}`]));
    for (const child of children) {
      await child.printed;
      await killChild(child);
    }
    const names = readFileSync(join(dir, 'names'), 'utf8').trimEnd().split('\n');
    assert.equal(new Set(names).size, names.length);
    const told = children.flatMap((c) => c.stdout().trimEnd().split('\n'));
    assert.deepEqual(
      told.filter((name) => !names.includes(name)),
      [],
    );
    assert.equal(await withLock(dir, { ...system, timeoutMs: 1_000 }, () => 'free'), 'free');
  });

  test('is taken from a holder that was killed, at once, and not from one that lives or is suspended', async () => {
    const dir = newDir();
    const holder = startChild(worker, ['hold', dir]);
    await holder.printed;
    const refusal = {
      name: 'LockedError',
      exitCode: 75,
      message: new RegExp(`process ${holder.process.pid} on .*alive`),
    };
    await assert.rejects(
      withLock(dir, { ...system, timeoutMs: 60 }, () => 'mine'),
      refusal,
    );
    holder.process.kill('SIGSTOP');
    await assert.rejects(
      withLock(dir, { ...system, timeoutMs: 60 }, () => 'mine'),
      refusal,
    );
    assert.throws(() => withLockSync(dir, { ...system, timeoutMs: 60 }, () => 'mine'), refusal);
    await killChild(holder);
    assert.equal(await withLock(dir, { ...system, timeoutMs: 0 }, () => 'mine'), 'mine');
  });

  test('is never taken from a holder on another host', async () => {
    const dir = lockedBy(elsewhere);
    const clock = fastClock();
    await assert.rejects(
      withLock(dir, { clock }, () => assert.fail('must not run')),
      (error) => {
        assert.ok(error instanceof LockedError);
        assert.match(error.message, /process 77 on other-host\.example, which cannot be seen/);
        assert.match(error.hint ?? '', /ln -sfn released .*lock\/000000007$/);
        return true;
      },
    );
    assert.equal(clock.slept, 10_000);
    assert.deepEqual(readdirSync(join(dir, 'lock')), ['000000007']);
    // For long: no longer something that passes by itself.
    const earlier = Date.now() / 1000 - 16 * 60;
    lutimesSync(ticketPath(join(dir, 'lock'), 7), earlier, earlier);
    await assert.rejects(
      withLock(dir, { clock }, () => assert.fail('must not run')),
      { name: 'StateError', exitCode: 1, message: /cannot be seen .* for more than 15 minutes/ },
    );
  });

  test("a process that uses the dead owner's pid, or the same after a reboot, does not hold it", async (t) => {
    const here = thisProcess();
    if (here.started === null) return t.skip('there is no /proc here');
    const [ticks, space, boot, machine] = here.started.split('@');
    // The pid exists (our parent), but it is not the one that took the lock.
    const reused = lockedBy({ ...here, pid: process.ppid, started: ['1', space, boot, machine].join('@') });
    assert.equal(await withLock(reused, { ...system, timeoutMs: 0 }, () => 1), 1);
    const rebooted = lockedBy({ ...here, started: [ticks, space, 'ffffffff', machine].join('@') });
    await assert.rejects(
      withLock(rebooted, { ...system, timeoutMs: 0 }, () => 1),
      /cannot be seen/,
      'made since our boot: by a clone of this machine',
    );
    const earlier = Date.now() / 1000 - uptime() - 60;
    lutimesSync(ticketPath(join(rebooted, 'lock'), 7), earlier, earlier);
    assert.equal(await withLock(rebooted, { ...system, timeoutMs: 0 }, () => 1), 1);
    const container = lockedBy({ ...here, pid: 4_000_000, started: ['1', '1', boot, machine].join('@') });
    await assert.rejects(
      withLock(container, { ...system, timeoutMs: 0 }, () => 1),
      /cannot be seen/,
    );
    const namesake = lockedBy({
      ...here,
      pid: 4_000_000,
      started: ['1', space, 'ffffffff', '00000000'].join('@'),
    });
    await assert.rejects(
      withLock(namesake, { ...system, timeoutMs: 0 }, () => 1),
      /cannot be seen/,
    );
    return undefined;
  });

  test('a ticket that nobody can read blocks', async () => {
    const dir = lockedBy('hands off');
    await assert.rejects(
      withLock(dir, { clock: fastClock() }, () => 1),
      /was not made by ProxWarden/,
    );
    const empty = newDir();
    mkdirSync(join(empty, 'lock'));
    writeFileSync(join(empty, 'lock', '000000001'), '');
    await assert.rejects(
      withLock(empty, { clock: fastClock() }, () => 1),
      /was not made by ProxWarden/,
    );
  });

  test('a contender that slept through fifty owners withdraws its ticket', () => {
    const dir = lockedBy(elsewhere, 60);
    const folder = join(dir, 'lock');
    assert.equal(makeTicket(folder, 5, thisProcess()), false);
    assert.deepEqual(readdirSync(folder), ['000000060']);
    assert.equal(makeTicket(folder, 60, thisProcess()), false, 'nor does it get one that is there');
    assert.equal(readlinkSync(ticketPath(folder, 60)), JSON.stringify(elsewhere));
  });

  test('is released when the work throws, and after a release that failed', async () => {
    const dir = newDir();
    await assert.rejects(
      withLock(dir, system, () => {
        throw new Error('no');
      }),
      /^Error: no$/,
    );
    assert.equal(
      withLockSync(dir, { ...system, timeoutMs: 0 }, () => 'free'),
      'free',
    );
    const leftover = lockedBy(thisProcess());
    assert.equal(await withLock(leftover, { ...system, timeoutMs: 0 }, () => 'free'), 'free');
  });

  test('asking for it while holding it, or working on after it, is a bug', async () => {
    const dir = newDir();
    await assert.rejects(
      withLock(dir, system, () => withLockSync(dir, system, () => 1)),
      /^Error: bug/,
    );
    await assert.rejects(
      withLock(dir, system, async () => 1),
      /^Error: bug.*synchronous/,
    );
    assert.equal(
      withLockSync(dir, { ...system, timeoutMs: 0 }, () => 'free'),
      'free',
    );
  });
});
