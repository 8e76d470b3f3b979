import { spawn } from 'node:child_process';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineCommand, type Invocation } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { inventoryDir } from '../lib/cli/session.ts';
import { EXIT, FailedError, InputError, messageOf, ProxwardenError } from '../lib/errors.ts';
import { connectLab } from '../lib/lab/client.ts';
import { LAB_VERBS, type LabReport } from '../lib/lab/control-protocol.ts';
import { labFolder, readRunFile, refuseSecondLab } from '../lib/lab/runfile.ts';
import { table } from '../lib/tell/tables.ts';
import { stamp } from '../lib/tell/teller.ts';
import { makeFolder } from '../lib/folder.ts';

const ACTIONS = ['up', 'status', 'down', ...LAB_VERBS] as const;
const EXAMPLE = 'inventory/example';
const LAB_TOKEN = 'file:.lab/token';

export const lab = defineCommand({
  usage: 'lab <action> [name]',
  describe: 'a simulated cluster to play with',
  flags: (y) =>
    commonFlags(y)
      .positional('action', { choices: ACTIONS, demandOption: true, describe: 'what to do' })
      .positional('name', {
        type: 'string',
        describe:
          'a node, a container, a storage (fill, drain, mount, unmount; nas@pve1: from one node), a volid (verify, spoil)',
      })
      .option('speed', {
        type: 'number',
        default: 1,
        requiresArg: true,
        describe: 'up: everything that takes time in the lab is so many times faster',
      })
      .option('background', {
        type: 'boolean',
        default: false,
        describe: 'up: return when it runs; `lab down` ends it',
      })
      .option('inventory', {
        type: 'string',
        requiresArg: true,
        default: EXAMPLE,
        describe: "folder of the lab's inventory",
      })
      .example('$0 lab up --background', `then use the other commands with --inventory ${EXAMPLE}`)
      .example('$0 lab kill pve1', 'power loss; revive brings the node back')
      .example(
        '$0 lab reboot pve1',
        'by a person: its containers are shut down first; shutdown leaves it off',
      )
      .example('$0 lab cut pve2', 'network only: the node lives on, unseen; mend brings it back')
      .example('$0 lab hang pve2', 'its API accepts and never answers; mend ends it')
      .example('$0 lab break web', "a container's service hangs while it runs; mend ends it")
      .example('$0 lab fill nas', 'a storage is full; drain ends it')
      .example('$0 lab unmount nas@pve2', 'pve2 no longer reaches the storage; mount ends it'),
  async run(args, invocation) {
    const { io, signal } = invocation;
    const dir = inventoryDir(args, invocation);
    if (args.action === 'up') {
      assertLabInventory(dir);
      if (args.background) return upInBackground(dir, args, invocation);
      const { labUp } = await import('../lib/lab/control.ts');
      const running = await labUp({ dir, speed: args.speed, portBase: 18_000 });
      io.out(
        `the lab is up: ${Object.entries(running.ports)
          .map(([name, port]) => `${name} ${port}`)
          .join(', ')}\nuse it with --inventory ${args.inventory}; Ctrl-C or \`proxwarden lab down\` ends it`,
      );
      let shown = 0;
      const show = (): void => {
        for (const event of running.lab.events.slice(shown)) io.err(`${stamp(event.at)} lab: ${event.text}`);
        shown = running.lab.events.length;
      };
      running.lab.onChange(show);
      await Promise.race([running.closed, aborted(signal)]);
      await running.close();
      return EXIT.ok;
    }
    const client = await connectLab(dir, { signal });
    if (args.action === 'down') {
      io.out(await client.down());
      return EXIT.ok;
    }
    if (args.action === 'status') {
      const report = await client.status();
      io.out(args.json ? JSON.stringify(report, null, 2) : formatReport(report, io.columns));
      return report.violations.length === 0 ? EXIT.ok : EXIT.failed;
    }
    if (args.name === undefined)
      throw new InputError(`\`lab ${args.action}\` what? Name a node, a container or a storage`);
    io.out(await client.perform(args.action, args.name));
    return EXIT.ok;
  },
});

const START_WITHIN_MS = 15_000;

/** The lab leaves its own files beside an inventory, and commands then keep their state there: not beside a real one. */
function assertLabInventory(dir: string): void {
  let texts: string[];
  try {
    const files = readdirSync(dir).filter((name) => name.endsWith('.yaml'));
    texts = files.map((name) => readFileSync(join(dir, name), 'utf8'));
  } catch (error) {
    throw new InputError(`the lab's inventory can't be read: ${messageOf(error)}`, {
      hint: `run it in a clone of ProxWarden, which has ${EXAMPLE}`,
      cause: error,
    });
  }
  if (!texts.some((text) => text.includes(LAB_TOKEN)))
    throw new InputError(`${dir} is not an inventory for the lab: no file in it uses ${LAB_TOKEN}`, {
      hint: `copy ${EXAMPLE}, and change the copy`,
    });
}

async function upInBackground(
  dir: string,
  { speed, inventory }: { speed: number; inventory: string },
  { io, runtime, signal }: Invocation,
): Promise<typeof EXIT.ok> {
  await refuseSecondLab(dir);
  const script = process.argv[1];
  if (script === undefined)
    throw new FailedError('the lab can only go to the background from the installed command');
  makeFolder(labFolder(dir), 0o700);
  const logFile = join(labFolder(dir), 'lab.log');
  const log = openSync(logFile, 'w', 0o600);
  const child = spawn(process.execPath, [script, 'lab', 'up', '--inventory', dir, '--speed', String(speed)], {
    detached: true,
    stdio: ['ignore', 'ignore', log],
  });
  const until = Date.now() + START_WITHIN_MS;
  let isUp = false;
  try {
    while (!isUp && Date.now() < until && child.exitCode === null && child.signalCode === null) {
      const run = await readRunFile(dir);
      isUp = run !== null && run.pid === child.pid && (await answers(dir, signal));
      if (!isUp) await runtime.clock.sleep(50, signal);
    }
  } finally {
    if (!isUp) child.kill('SIGTERM');
  }
  if (isUp) {
    child.unref();
    io.out(
      `the lab is up (pid ${child.pid ?? 0}): use it with --inventory ${inventory}; \`proxwarden lab down\` ends it`,
    );
    return EXIT.ok;
  }
  throw new FailedError(
    `the lab did not come up: ${
      readFileSync(logFile, 'utf8')
        .trim()
        .replace(/^proxwarden: /, '') || `no answer within ${START_WITHIN_MS / 1000} s`
    }`,
  );
}

/** It may have been aborted while the lab was coming up. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function answers(dir: string, signal: AbortSignal): Promise<boolean> {
  try {
    await (await connectLab(dir, { signal })).status();
    return true;
  } catch (error) {
    if (signal.aborted || !(error instanceof ProxwardenError)) throw error;
    return false;
  }
}

function formatReport(report: LabReport, columns: number): string {
  const nodes = table(
    ['NODE', 'POWER', 'NETWORK', 'API', 'QUORUM'],
    report.nodes.map((n) => [
      n.name,
      n.power,
      n.network,
      n.hung ? 'hangs' : n.api ? 'up' : 'down',
      n.quorate ? 'yes' : 'no',
    ]),
    columns,
  );
  const containers = table(
    ['CT', 'NODE', 'NAME', 'STATE', 'ONBOOT', 'TAGS'],
    report.containers.map((c) => [
      String(c.vmid),
      c.node,
      c.hostname,
      c.state,
      c.onboot ? '1' : '0',
      c.tags.join(';'),
    ]),
    columns,
  );
  const violations =
    report.violations.length === 0
      ? 'rule 1 (never two): no violation'
      : report.violations.map((v) => `VIOLATION ${stamp(v.at)} ${v.text}`).join('\n');
  const problems = report.problems.map((p) => `problem: ${p}`);
  return [nodes, '', containers, '', `${report.backups.length} backups`, violations, ...problems].join('\n');
}
