import { busyContainers } from '../lib/act/busy.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { nodeNamed } from '../lib/act/fence/word.ts';
import { containerNamed, openInventory, openSession, stateDir } from '../lib/cli/session.ts';
import { freshCounts } from '../lib/decide/brakes.ts';
import { incarnationKey } from '../lib/decide/incarnations.ts';
import type { Incarnation } from '../lib/decide/model.ts';
import { BlockedError, EXIT, InputError, LockedError } from '../lib/errors.ts';
import { lastObservation } from '../lib/state/observation.ts';
import { openOperations } from '../lib/state/operations.ts';
import { openState } from '../lib/state/store.ts';
import { formatDuration } from '../lib/units.ts';
import { confirm } from './fence.ts';

export const ack = defineCommand({
  usage: 'ack [name]',
  describe: 'a person has looked after an error, or has seen that a node is off',
  flags: (y) =>
    commonFlags(y)
      .positional('name', { type: 'string', describe: 'the container that ProxWarden may act on again' })
      .option('fenced', {
        type: 'string',
        requiresArg: true,
        describe: 'instead: this node is off, as `fence confirm NODE`',
      })
      .option('despite-power', {
        type: 'boolean',
        default: false,
        describe: 'with --fenced: though its plug or BMC says on',
      })
      .option('forget-copy', {
        type: 'boolean',
        default: false,
        describe: 'the copy that the state knows was removed on purpose: the container lives elsewhere',
      })
      .example('$0 ack dns', 'after you have mended what `status` shows')
      .example('$0 ack --fenced pve1', 'you have looked: pve1 is off, and stays off')
      .epilogue(
        'Counts begin anew, failovers of the last 24 h are forgiven, and so is the cooldown when there was an error. Which copy is the current one is remembered: its node may die before the next run can read it again.',
      ),
  async run(args, invocation) {
    if (args.fenced !== undefined) {
      if (args.name !== undefined || args.forgetCopy)
        throw new InputError('ack is about a container or, with --fenced, about a node: not both at once');
      const session = await openSession(args, invocation, { lenient: true });
      try {
        return await confirm(session, nodeNamed(session.inventory, args.fenced), args);
      } finally {
        await session.close();
      }
    }
    if (args.name === undefined) throw new InputError('which container? `ack NAME` (or `ack --fenced NODE`)');
    const inventory = await openInventory(args, invocation);
    const container = containerNamed(inventory, args.name);
    const { clock } = invocation.runtime;
    const dir = stateDir(args, invocation);
    const store = openState(dir, { clock });
    const { busy } = busyContainers({ operations: openOperations(dir, { clock }), inventory });
    const inHand = busy.get(container.name);
    if (inHand !== undefined)
      throw new LockedError(`${container.name}: operation ${inHand} is in hand, and has not ended yet`, {
        hint: `\`proxwarden status ${container.name}\``,
      });
    const before = store.read().containers[container.name];
    if (args.forgetCopy && before?.current != null) refuseIfSeen(before.current, store.local, clock.now());
    await store.update((s) => {
      const record = s.containers[container.name];
      // The counts start anew, so that nothing happens in the very next run.
      if (record !== undefined)
        s.containers[container.name] = {
          ...freshCounts(record),
          error: null,
          // A person's word counts more than the time since a failover that went wrong.
          lastFailoverAt: record.error === null ? record.lastFailoverAt : null,
          autoFailovers: [],
          restartedAt: null,
          current: args.forgetCopy ? null : record.current,
        };
    });
    const forgotten = args.forgetCopy ? (before?.current ?? null) : null;
    const text = [
      before?.error == null
        ? `${container.name}: there was no error; its counts start anew`
        : `${container.name}: acknowledged: ${before.error.reason}`,
      ...(forgotten === null ? [] : [`${incarnationKey(forgotten)} is forgotten`]),
    ].join('; ');
    invocation.io.out(
      args.json
        ? JSON.stringify({ container: container.name, acknowledged: before?.error ?? null, forgotten })
        : text,
    );
    return EXIT.ok;
  },
});

/** What a run has just seen is not gone; forgotten, it would be a stranger's as soon as its node dies. */
function refuseIfSeen({ cluster, node, vmid }: Incarnation, dir: string, now: number): void {
  const observation = lastObservation(dir, now);
  const there = observation?.clusters[cluster]?.guests.find((g) => g.vmid === vmid && g.node === node);
  if (observation === null || there === undefined) return;
  throw new BlockedError(
    `CT ${vmid} on ${node} is not forgotten: the last run saw it there (${there.status}), ${formatDuration(Math.max(now - observation.at, 0))} ago`,
    { hint: 'if it has been removed since, run `proxwarden check`, and then this again' },
  );
}
