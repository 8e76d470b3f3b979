/** Ctrl-C and SIGTERM: the process ends at once, says how far it came, and the next run goes on from there. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inProcess, openInside } from './in-process.ts';
import { proxwarden, until, type Ran, type Stage } from './stage.ts';
import { tasksOf } from './tasks.ts';

/** A second, and what a loaded machine adds; none of these would end by itself for half a minute. */
const AT_ONCE_MS = 6_000;

function places({ dir, state }: Stage): string[] {
  return ['--inventory', dir, '--state', state];
}

interface Stopped extends Ran {
  /** From the signal to the end. */
  readonly tookMs: number;
}

/** Sends the signal as soon as stderr or stdout shows `marker`. */
function signalAt(marker: RegExp, signal: NodeJS.Signals, sent: { at: number }) {
  return async (child: ChildProcess): Promise<void> => {
    let seen = '';
    child.stdout?.on('data', (text: string) => (seen += text));
    child.stderr?.on('data', (text: string) => (seen += text));
    await until(() => marker.test(seen) || child.exitCode !== null);
    sent.at = performance.now();
    child.kill(signal);
  };
}

async function stopAt(
  run: (meanwhile: (child: ChildProcess) => Promise<void>) => Promise<Ran>,
  marker: RegExp,
  signal: NodeJS.Signals,
): Promise<Stopped> {
  const sent = { at: 0 };
  const ran = await run(signalAt(marker, signal, sent));
  return { ...ran, tookMs: performance.now() - sent.at };
}

const INTERRUPTED =
  /proxwarden: (op-\S+) \((\w+)\) was interrupted after [a-z ]+; its progress is in the journal(?:, the \w+ of CT \d+ on pve\d goes on meanwhile)?\n {2}→ the next `proxwarden check-and-failover` goes on with it, or `proxwarden failover \2 --resume \1`\n$/;

/** What comes before and after needs no process of its own. Each step of every kind of operation: waits/steps.test.ts. */
describe('an interrupted process', { concurrency: 3 }, () => {
  test('SIGTERM in the restore of a planned failover: a second is refused, and it is resumed to the same end', async (t) => {
    const stage = await openInside(t, { speed: 15 });
    const before = await stage.run('check-and-failover');
    assert.equal(before.code, 0, before.stderr);
    const seen = stage.lab.events.length;
    const stopped = await stopAt(
      (meanwhile) => proxwarden(['failover', 'web', '--planned', ...places(stage)], { meanwhile }),
      /web: restore: /,
      'SIGTERM',
    );
    const told = `${stopped.stdout}${stopped.stderr}`;
    assert.equal(stopped.code, 1, told);
    assert.ok(stopped.tookMs < AT_ONCE_MS, `${Math.round(stopped.tookMs)} ms after ${told}`);
    const [, id = ''] = INTERRUPTED.exec(stopped.stderr) ?? assert.fail(told);
    const status = await stage.run('status', 'web');
    assert.match(status.stdout, /failover in hand: /, told);
    // A second operation is not begun before the first has ended.
    const second = await stage.run('failover', 'web', '--planned');
    assert.equal(second.code, 75, second.stderr);
    const resumed = await stage.run('failover', 'web', '--resume', id);
    const all = `${told}--- resumed:\n${resumed.stdout}${resumed.stderr}`;
    assert.match(resumed.stderr, new RegExp(`web: ${id} goes on after `), all);
    assert.match(resumed.stderr, new RegExp(`web: ${id} done: web runs on `), all);
    assert.deepEqual(stage.running(), ['db', 'dns', 'web', 'wiki'], all);
    assert.deepEqual(stage.lab.violations, [], all);
    const done = stage.lab.events.slice(seen).filter((e) => / (restored|started) /.test(e.text));
    assert.equal(done.length, 2, `restored once and started once: ${all}`);
    assert.equal((await tasksOf(stage)).filter((task) => task.startsWith('vzrestore')).length, 1);
  });

  test('interrupted in an automatic failover that it resumes, it says so again', async (t) => {
    const stage = await openInside(t, { speed: 10 });
    await stage.run('check-and-failover');
    await stage.nodeDies('pve1');
    const first = await stopAt(
      (meanwhile) => proxwarden(['check-and-failover', ...places(stage)], { meanwhile }),
      /dns: fence home\/pve1: /,
      'SIGINT',
    );
    assert.equal(first.code, 1, first.stderr);
    assert.match(first.stderr, /\(dns\) was interrupted after /);
    assert.ok(first.tookMs < AT_ONCE_MS, `${first.tookMs}`);
    const second = await inProcess(['check-and-failover', ...places(stage)], {
      watch: (said, stop) => /dns: op-\S+ goes on after /.test(said) && stop(),
    });
    assert.equal(second.code, 1, second.stderr);
    assert.match(
      second.stderr,
      /\(dns\) was interrupted after .*; its progress is in the journal(?:, the .* goes on meanwhile)?\n/,
    );
    for (let n = 0; n < 6 && stage.running().join() !== 'db,dns,web,wiki'; n += 1)
      await stage.run('check-and-failover');
    assert.deepEqual(stage.running(), ['db', 'dns', 'web', 'wiki']);
    assert.deepEqual(stage.lab.violations, []);
  });

  test('a backup by hand that is interrupted is stopped in PVE, and the journal says so', async (t) => {
    const stage = await openInside(t, { speed: 1 });
    await stage.run('check-and-failover');
    const under = new AbortController();
    const stopped = await inProcess(['backup', 'web', ...places(stage)], {
      watch: (said, stop) => {
        if (said !== '') return;
        const look = async (): Promise<void> => {
          while (!(await tasksOf(stage)).some((task) => task.startsWith('vzdump')))
            await sleep(20, undefined, { signal: under.signal });
          stop();
        };
        look().catch(() => undefined);
      },
    });
    under.abort();
    assert.equal(stopped.code, 1, stopped.stderr);
    assert.match(stopped.stderr, /web: interrupted: the vzdump of CT \d+ on pve\d is being stopped/);
    assert.match(
      stopped.stderr,
      /proxwarden: op-\S+ \(web\) was interrupted; the vzdump of CT \d+ on pve\d was stopped\n$/,
    );
    assert.deepEqual((await tasksOf(stage)).filter((task) => task.startsWith('vzdump')).length, 1);
    const after = await stage.run('check-and-failover');
    assert.equal(after.code, 0, after.stderr);
  });

  test('a lab that is told to stop while it comes up ends by itself', async (t) => {
    const stage = await openInside(t);
    const dir = stage.inventory('own', (yaml) => yaml);
    const ran = await inProcess(['lab', 'up', '--inventory', dir], { watch: (_, stop) => stop() });
    // Its ports may be those of another lab on this machine; what counts is that it ends.
    assert.ok(ran.code === 0 || ran.code === 1, ran.stderr);
  });

  test('interrupted before anything has begun, it says that, too', async (t) => {
    const stage = await openInside(t);
    // An API that accepts the connection and then says nothing.
    const mute = createServer((socket) => socket.on('error', () => socket.destroy()));
    mute.listen(0, '127.0.0.1');
    await once(mute, 'listening');
    t.after(() => void mute.close());
    const address = mute.address();
    assert.ok(typeof address === 'object' && address !== null);
    const dir = stage.inventory('mute', (yaml) =>
      yaml
        .replaceAll(/(?<=https:\/\/127\.0\.0\.1:)\d+/g, () => String(address.port))
        .replace(/( {4}- https:.*\n)\1+/, '$1'),
    );
    const connected = once(mute, 'connection');
    const sent = { at: 0 };
    const stopped = await proxwarden(['check', '--inventory', dir, '--state', stage.state], {
      meanwhile: async (child) => {
        await connected;
        await signalAt(/^/, 'SIGINT', sent)(child);
      },
    });
    const tookMs = performance.now() - sent.at;
    assert.equal(stopped.code, 1, stopped.stdout + stopped.stderr);
    assert.equal(stopped.stderr, 'proxwarden: interrupted; nothing was begun that is not in the journal\n');
    assert.ok(tookMs < AT_ONCE_MS, `${tookMs}`);
  });

  test('a demo that is interrupted leaves nothing behind', async () => {
    // Its own: another test may be playing the demo at the same time.
    const tmp = mkdtempSync(join(tmpdir(), 'proxwarden-e2e-demo-'));
    const stopped = await stopAt(
      (meanwhile) => proxwarden(['demo'], { meanwhile, env: { TMPDIR: tmp } }),
      /Node pve1 dies/,
      'SIGINT',
    );
    assert.equal(stopped.code, 1, stopped.stderr);
    assert.match(stopped.stderr, /^proxwarden: interrupted; /m);
    assert.ok(stopped.tookMs < AT_ONCE_MS, `${stopped.tookMs}`);
    assert.deepEqual(readdirSync(tmp), []);
    rmSync(tmp, { recursive: true });
  });
});
