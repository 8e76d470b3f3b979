import { backUpNow } from '../lib/act/backup-op.ts';
import { quorateApi } from '../lib/act/journal.ts';
import { setProtection } from '../lib/act/look.ts';
import { observeClosely } from '../lib/act/start-gate.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, dryRunFlag } from '../lib/cli/options.ts';
import { containerNamed, openSession, type Session } from '../lib/cli/session.ts';
import { chooseBackup } from '../lib/decide/backups.ts';
import { incarnationsOf } from '../lib/decide/incarnations.ts';
import { EXIT, FailedError, InputError } from '../lib/errors.ts';
import type { Container } from '../lib/inventory/types.ts';
import { table } from '../lib/tell/tables.ts';
import { stamp } from '../lib/tell/teller.ts';
import { formatDuration, formatSize } from '../lib/units.ts';

const ACTIONS = ['create', 'list', 'protect', 'unprotect'];

export const backup = defineCommand({
  usage: 'backup [action] [names..]',
  describe: 'back containers up now; list, protect, unprotect backups',
  flags: (y) =>
    dryRunFlag(commonFlags(y))
      .positional('action', {
        type: 'string',
        default: 'create',
        describe: `${ACTIONS.join(', ')}; without one the words are names and backups are created`,
      })
      .positional('names', { type: 'string', array: true, default: [] as string[], describe: 'containers' })
      .option('volid', { type: 'string', requiresArg: true, describe: 'the backup to protect or unprotect' })
      .example('$0 backup dns', 'vzdump now, wait, verify that the archive exists')
      .example('$0 backup list dns', 'which one would be used, and why not the others')
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
      if (action === 'list') return await list(session, containers);
      if (action === 'create') return await create(session, containers, args.dryRun);
      const [container] = containers;
      if (container === undefined || containers.length !== 1 || args.volid === undefined)
        throw new InputError(`\`backup ${action} NAME --volid VOLID\``);
      const { node } = await listed(session, container);
      const api = await quorateApi(session, container.cluster);
      const known = await api.backups(node, container.backup.storage, { signal: session.signal });
      if (!known.some((b) => b.volid === args.volid))
        throw new FailedError(`there is no backup ${args.volid} on ${container.backup.storage}`);
      if (!args.dryRun)
        await setProtection(
          session,
          api,
          { node, storage: container.backup.storage, volid: args.volid },
          action === 'protect',
        );
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
    if (dryRun) session.invocation.io.out(`would back up ${container.name} to ${container.backup.storage}`);
    else made.push({ container: container.name, volid: await backUpNow(session, container) });
  }
  await session.teller.end();
  if (session.args.json) session.invocation.io.out(JSON.stringify(made, null, 2));
  else for (const { container, volid } of made) session.invocation.io.out(`${container}: ${volid}`);
  return EXIT.ok;
}

async function listed(session: Session, container: Container) {
  const observation = await observeClosely(session, container);
  const view = observation.clusters[container.cluster];
  const node = view?.storages.find(
    (s) =>
      s.storage === container.backup.storage &&
      s.active &&
      view.nodes.some((n) => n.name === s.node && n.apiAnswers === true),
  )?.node;
  if (view === undefined || node === undefined)
    throw new FailedError(
      `no node of cluster ${container.cluster} that answers sees the storage ${container.backup.storage}${view === undefined || view.problems.length === 0 ? '' : `: ${view.problems.join('; ')}`}`,
    );
  return { observation, node };
}

async function list(session: Session, containers: readonly Container[]) {
  const now = session.runtime.clock.now();
  const rows: {
    container: string;
    volid: string;
    at: number;
    size: number;
    protected: boolean;
    verdict: string;
  }[] = [];
  for (const container of containers) {
    const { observation } = await listed(session, container);
    const record = session.state.read().containers[container.name];
    const current = incarnationsOf(container, observation, record).current;
    if (current === null)
      throw new FailedError(
        `${container.name}: vmid ${container.vmid} is not in cluster ${container.cluster}`,
      );
    const detail = observation.clusters[container.cluster]?.details.find(
      (d) => d.vmid === current.vmid && d.node === current.node,
    );
    const macs = container.macs.length > 0 ? container.macs : (detail?.macs ?? record?.identity?.macs ?? []);
    const choice = chooseBackup(observation.backups, { container, current, macs, now });
    for (const b of observation.backups)
      rows.push({
        container: container.name,
        volid: b.volid,
        at: b.at,
        size: b.size,
        protected: b.protected,
        verdict:
          b === choice.chosen
            ? 'would be used'
            : (choice.rejected.find((r) => r.what === b.volid)?.why ?? ''),
      });
  }
  const { io } = session.invocation;
  if (session.args.json) io.out(JSON.stringify(rows, null, 2));
  else
    io.out(
      table(
        ['CONTAINER', 'VOLID', 'MADE', 'AGE', 'SIZE', 'PROTECTED', 'USE'],
        rows.map((r) => [
          r.container,
          r.volid,
          stamp(r.at),
          formatDuration(Math.max(now - r.at, 0)),
          formatSize(r.size),
          r.protected ? 'yes' : 'no',
          r.verdict,
        ]),
        io.columns,
      ),
    );
  return EXIT.ok;
}
