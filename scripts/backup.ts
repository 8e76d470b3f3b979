import { backUpNow, describeBackup } from '../lib/act/backup-op.ts';
import { containerBackups } from '../lib/act/container-backups.ts';
import { quorateApi } from '../lib/act/journal.ts';
import { setProtection } from '../lib/act/look.ts';
import { planPrune, pruneNow } from '../lib/act/prune-op.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, dryRunFlag } from '../lib/cli/options.ts';
import { containerNamed, openSession, type Session } from '../lib/cli/session.ts';
import { containerIn } from '../lib/decide/reach.ts';
import { chooseBackup } from '../lib/decide/backups.ts';
import { EXIT, FailedError, InputError, type ExitCode } from '../lib/errors.ts';
import type { Container } from '../lib/inventory/types.ts';
import {
  backupRow,
  backupTable,
  pruneRow,
  pruneTable,
  type BackupRow,
  type PruneRow,
} from '../lib/tell/backup-table.ts';
import { formatSize } from '../lib/units.ts';

const ACTIONS = ['create', 'list', 'prune', 'protect', 'unprotect'];

export const backup = defineCommand({
  usage: 'backup [action] [names..]',
  describe: 'back containers up now; list, prune, protect, unprotect backups',
  flags: (y) =>
    dryRunFlag(commonFlags(y))
      .positional('action', {
        type: 'string',
        default: 'create',
        describe: `${ACTIONS.join(', ')}; without one the words are names and backups are created`,
      })
      .positional('names', { type: 'string', array: true, default: [] as string[], describe: 'containers' })
      .option('volid', { type: 'string', requiresArg: true, describe: 'the backup to protect or unprotect' })
      .option('all', {
        type: 'boolean',
        default: false,
        describe: 'prune: also what other jobs made, by the same policy',
      })
      .example('$0 backup dns', 'vzdump now, wait, verify that the archive exists')
      .example('$0 backup list dns', 'of which copy each is, which one would be used, and why not the others')
      .example(
        '$0 backup prune --dry-run',
        'what backup.keep of the inventory would remove, and why not the rest',
      )
      .example(
        '$0 backup protect dns --volid nas:backup/vzdump-lxc-101-….tar.zst',
        'keep it from being pruned',
      ),
  async run(args, invocation) {
    const isAction = ACTIONS.includes(args.action);
    const action = isAction ? args.action : 'create';
    const names = isAction ? args.names : [args.action, ...args.names];
    const session = await openSession(args, invocation, { steps: true });
    try {
      const containers =
        names.length === 0
          ? Object.values(session.inventory.containers).filter((c) => c.mode !== 'off')
          : names.map((n) => containerNamed(session.inventory, n));
      if (args.all && action !== 'prune') throw new InputError('--all is for `backup prune`');
      if (action === 'list') return await list(session, containers);
      if (action === 'prune') return await prune(session, names.length > 0, containers, args);
      if (action === 'create') return await create(session, containers, args.dryRun);
      const [container] = containers;
      if (container === undefined || containers.length !== 1 || args.volid === undefined)
        throw new InputError(`\`backup ${action} NAME --volid VOLID\``);
      const { current, node, backups } = await containerBackups(session, container);
      const { storage } = containerIn(container, current.cluster).backup;
      if (!backups.some((b) => b.volid === args.volid))
        throw new FailedError(`there is no backup ${args.volid} of ${container.name} on ${storage}`);
      const api = await quorateApi(session, current.cluster);
      if (!args.dryRun)
        await setProtection(session, api, { node, storage, volid: args.volid }, action === 'protect');
      invocation.io.out(`${args.volid} ${args.dryRun ? 'would be' : 'is'} ${action}ed`);
      return EXIT.ok;
    } finally {
      await session.close();
    }
  },
});

async function create(session: Session, containers: readonly Container[], dryRun: boolean) {
  const made: { container: string; volid: string }[] = [];
  for (const container of containers) {
    if (dryRun) session.invocation.io.out(await describeBackup(session, container));
    else made.push({ container: container.name, volid: await backUpNow(session, container) });
  }
  await session.teller.end();
  if (session.args.json) session.invocation.io.out(JSON.stringify(made, null, 2));
  else for (const { container, volid } of made) session.invocation.io.out(`${container}: ${volid}`);
  return EXIT.ok;
}

async function list(session: Session, containers: readonly Container[]) {
  const now = session.runtime.clock.now();
  const rows: BackupRow[] = [];
  for (const container of containers) {
    const { backups, current, macs } = await containerBackups(session, container);
    const rules = { container, current, macs };
    const choice = chooseBackup(backups, { ...rules, now });
    rows.push(...backups.map((b) => backupRow(b, rules, choice)));
  }
  const { io } = session.invocation;
  io.out(session.args.json ? JSON.stringify(rows, null, 2) : backupTable(rows, now, io.columns));
  return EXIT.ok;
}

async function prune(
  session: Session,
  named: boolean,
  containers: readonly Container[],
  { all, dryRun, json }: { all: boolean; dryRun: boolean; json: boolean },
): Promise<ExitCode> {
  const without = containers.filter((c) => c.backup.keep === null).map((c) => c.name);
  if (without.length > 0 && (named || without.length === containers.length))
    throw new InputError(
      `the inventory does not say what to keep of ${without.join(', ')}: nothing is pruned`,
      {
        hint: 'add backup: { keep: 3 } or { keep: { last: 3, daily: 7, weekly: 4 } }',
      },
    );
  const { io } = session.invocation;
  const rows: PruneRow[] = [];
  const removed: string[] = [];
  const failures: string[] = [];
  for (const container of containers) {
    const { keep } = container.backup;
    if (keep === null) continue;
    const found = await containerBackups(session, container);
    const entries = planPrune(session, container, found, { keep, all });
    rows.push(...entries.map((entry) => pruneRow(container.name, entry)));
    if (dryRun) continue;
    const result = await pruneNow(session, container, found, entries);
    removed.push(...result.removed);
    failures.push(...result.failures);
  }
  await session.teller.end();
  const marked = rows.filter((r) => r.remove);
  const sum = formatSize(marked.reduce((total, r) => total + r.size, 0));
  if (json)
    io.out(
      JSON.stringify(
        rows.map((r) => ({ ...r, removed: removed.includes(r.volid) })),
        null,
        2,
      ),
    );
  else {
    io.out(pruneTable(rows, io.columns));
    io.out(
      dryRun
        ? `would remove ${marked.length} of ${rows.length} backups, ${sum}`
        : `removed ${removed.length} of ${rows.length} backups`,
    );
  }
  if (failures.length > 0)
    throw new FailedError(
      `${failures.length} of ${marked.length} backups were not removed: ${failures.join('; ')}`,
    );
  return dryRun && marked.length > 0 ? EXIT.unhealthy : EXIT.ok;
}
