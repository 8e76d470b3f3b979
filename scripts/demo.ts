import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineCommand, type Invocation } from '../lib/cli/command.ts';
import { main } from '../lib/cli/main.ts';
import { show } from '../lib/cli/say.ts';
import { EXIT, FailedError, type ExitCode } from '../lib/errors.ts';
import { exampleInventory } from '../lib/lab/example.ts';
import type { RunningLab } from '../lib/lab/control.ts';
import { openOperations } from '../lib/state/operations.ts';
import { table } from '../lib/tell/tables.ts';
import { formatDuration } from '../lib/units.ts';

/** How much faster than a real cluster the lab goes here: corosync's 8 s become 2 s, a boot 3 s. */
const SPEED = 4;
const INTERVAL_SECONDS = 2;

export const demo = defineCommand({
  usage: 'demo',
  describe: 'the whole story in the lab, in under a minute',
  flags: (y) => y.example('$0 demo', 'needs nothing but this; in a terminal it draws its progress'),
  async run(_args, invocation) {
    const folder = mkdtempSync(join(tmpdir(), 'proxwarden-demo-'));
    const dir = join(folder, 'inventory');
    mkdirSync(dir);
    cpSync(hooksOfExample(), join(dir, 'hooks'), { recursive: true });
    const lab = await startLab(dir, invocation);
    try {
      return await tellStory(lab, { dir, state: join(folder, 'state'), invocation });
    } finally {
      await lab.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
});

interface Stage {
  readonly dir: string;
  readonly state: string;
  readonly invocation: Invocation;
}

async function tellStory({ lab }: RunningLab, stage: Stage): Promise<ExitCode> {
  const { io, runtime, signal } = stage.invocation;
  const scene = (text: string): void =>
    show(io, `\n── ${text} ${'─'.repeat(Math.max(0, Math.min(io.columns, 100) - text.length - 4))}`);
  const run = async (...words: string[]): Promise<ExitCode> => {
    signal.throwIfAborted();
    io.out(`$ proxwarden ${words.join(' ')}`);
    const { COMMANDS } = await import('./commands.ts');
    return main([...words, '--inventory', stage.dir, '--state', stage.state], COMMANDS, stage.invocation);
  };
  const expect = (what: string, got: ExitCode, ...wanted: ExitCode[]): void => {
    if (!wanted.includes(got))
      throw new FailedError(`the demo went wrong: ${what} ended with ${got}, not ${wanted.join(' or ')}`);
  };

  scene('Three nodes, four containers, all is well');
  expect('check-and-failover', await run('check-and-failover'), EXIT.ok);
  expect('check', await run('check'), EXIT.ok);

  scene('Node pve1 dies: power loss. It held dns and web');
  lab.kill('pve1');
  const killedAt = runtime.clock.now();
  await runtime.clock.sleep((10_000 / SPEED) | 0, signal);

  scene('Cron calls check-and-failover; three failures in a row are needed');
  let code: ExitCode = EXIT.ok;
  for (let n = 1; n <= 3; n += 1) {
    code = await run('check-and-failover');
    if (n < 3) {
      expect(`run ${n}`, code, EXIT.unhealthy);
      await runtime.clock.sleep(INTERVAL_SECONDS * 600, signal);
    }
  }
  expect('the failover', code, EXIT.ok);

  scene('The services answer again, from other nodes');
  await runtime.clock.sleep(INTERVAL_SECONDS * 600, signal);
  expect('check', await run('check'), EXIT.ok);

  scene('Somebody switches pve1 on again: its originals of dns and web are still there');
  lab.revive('pve1');
  await waitUntil(stage.invocation, () => lab.status().nodes.every((n) => n.api));
  await runtime.clock.sleep((14_000 / SPEED) | 0, signal);
  expect('check-and-failover', await run('check-and-failover'), EXIT.ok);
  expect('status', await run('status'), EXIT.ok);

  scene('What happened');
  io.out(timeline(stage, killedAt));
  const violations = lab.violations;
  io.out(
    violations.length === 0
      ? '\nNever two copies at once: the lab recorded no violation.'
      : violations.map((v) => `VIOLATION: ${v.text}`).join('\n'),
  );
  show(io, 'Play yourself: proxwarden lab up --background; the README shows how.');
  return violations.length === 0 ? EXIT.ok : EXIT.failed;
}

function timeline({ state, invocation }: Stage, killedAt: number): string {
  const { operations } = openOperations(state, { clock: invocation.runtime.clock }).list();
  const after = (at: number | null | undefined): string =>
    at == null ? '-' : `+${((at - killedAt) / 1000).toFixed(1)} s`;
  const rows = operations
    .filter((op) => op.kind === 'failover')
    .map((op) => [
      op.container,
      after(op.data.detectedAt),
      after(op.createdAt),
      after(op.steps.find((s) => s.name.startsWith('restore') && s.status === 'done')?.endedAt),
      after(op.data.verifiedAt),
      op.data.backupAt === null ? '-' : formatDuration(killedAt - op.data.backupAt),
      `${op.action?.from.node ?? '?'}/${op.action?.from.vmid ?? '?'} → ${op.data.target?.node ?? '?'}/${op.data.live?.vmid ?? '?'}`,
    ]);
  return table(
    ['CONTAINER', 'DETECTED', 'DECIDED', 'RESTORED', 'VERIFIED', 'DATA LOST', 'MOVED'],
    rows,
    invocation.io.columns,
  );
}

async function waitUntil({ runtime, signal }: Invocation, done: () => boolean): Promise<void> {
  const until = runtime.clock.now() + 30_000;
  while (!done()) {
    if (runtime.clock.now() > until) throw new FailedError('the demo went wrong: the node did not come back');
    await runtime.clock.sleep(100, signal);
  }
}

/** Starts the lab at the first base whose ports are all free; its ports lie below those that the system hands out. */
async function startLab(dir: string, { runtime }: Invocation): Promise<RunningLab> {
  const { labUp } = await import('../lib/lab/control.ts');
  const first = Number.parseInt(runtime.randomHex(2), 16);
  for (let attempt = 0; ; attempt += 1) {
    const portBase = 20_000 + ((first + attempt) % 100) * 100;
    writeFileSync(
      join(dir, 'home.yaml'),
      exampleInventory(portBase).replace('interval: 10s', `interval: ${INTERVAL_SECONDS}s`),
    );
    try {
      return await labUp({ dir, speed: SPEED, portBase });
    } catch (error) {
      // Another program has one of these ports.
      if (!(error instanceof FailedError) || attempt >= 20) throw error;
    }
  }
}

function hooksOfExample(): string {
  return join(import.meta.dirname, '..', 'inventory', 'example', 'hooks');
}
