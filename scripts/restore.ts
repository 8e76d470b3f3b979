import { busyContainers } from '../lib/act/busy.ts';
import { restoreByHand } from '../lib/act/restore-op.ts';
import { observeClosely } from '../lib/act/start-gate.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, dryRunFlag } from '../lib/cli/options.ts';
import { containerNamed, openSession } from '../lib/cli/session.ts';
import { takenByGroup } from '../lib/decide/apart.ts';
import { chooseBackup } from '../lib/decide/backups.ts';
import { incarnationsOf, vmidElsewhere, vmidOfEpoch } from '../lib/decide/incarnations.ts';
import type { PlacementInput } from '../lib/decide/placement.ts';
import { targetNamed } from '../lib/decide/reach.ts';
import { placeByHand } from '../lib/decide/restore-by-hand.ts';
import { promised } from '../lib/decide/reservations.ts';
import { BlockedError, EXIT, FailedError, InputError } from '../lib/errors.ts';

export const restore = defineCommand({
  usage: 'restore <name>',
  describe: 'restore a backup to a node as a vmid',
  flags: (y) =>
    dryRunFlag(commonFlags(y))
      .positional('name', { type: 'string', demandOption: true, describe: 'the container' })
      .option('to', {
        type: 'string',
        requiresArg: true,
        describe: 'the node, or CLUSTER/NODE; else the first of its list that can take it',
      })
      .option('vmid', {
        type: 'number',
        requiresArg: true,
        describe: 'as this vmid (needed without --start)',
      })
      .option('backup', {
        type: 'string',
        requiresArg: true,
        describe: 'this volid; else the newest sound one',
      })
      .option('start', {
        type: 'boolean',
        default: false,
        describe: 'start it as the next incarnation, if no other copy can be running',
      })
      .example('$0 restore dns --to pve2 --vmid 901', 'a stopped copy to look into; nothing else changes'),
  async run(args, invocation) {
    const session = await openSession(args, invocation, { steps: true });
    try {
      const container = containerNamed(session.inventory, args.name);
      if (args.vmid !== undefined && !isVmid(args.vmid))
        throw new InputError('--vmid needs a whole number from 100 to 999999999');
      const observation = await observeClosely(session, container);
      const record = session.state.read().containers[container.name];
      const seen = incarnationsOf(container, observation, record);
      const current = seen.current;
      if (current === null)
        throw new FailedError(
          `${container.name}: vmid ${container.vmid} is not in cluster ${container.cluster}`,
        );
      if (args.start && (seen.problems.length > 0 || seen.pending.length > 0))
        throw new BlockedError(
          `${container.name}: ${[...seen.problems, ...seen.pending.map((p) => `CT ${p.vmid} is an unfinished copy`)].join('; ')}`,
        );
      const where = observation.clusters[current.cluster]?.details.find(
        (d) => d.node === current.node && d.vmid === current.vmid,
      );
      // Rule 1 is proven right before the start; what is plain to see already needs no restore first.
      if (args.start && where?.status === 'running')
        throw new BlockedError(
          `${container.name}: CT ${current.vmid} runs on ${current.node}, so no copy is started`,
          {
            hint: `move it: \`proxwarden failover ${container.name} --planned\``,
          },
        );
      if (args.start && container.mode !== 'protect')
        throw new BlockedError(`${container.name} is mode: ${container.mode}, which never starts anything`, {
          hint: `set mode: protect, or restore it stopped: \`proxwarden restore ${container.name} --vmid N\``,
        });
      if (args.vmid === undefined && !args.start)
        throw new InputError('as which vmid? `restore NAME --vmid N`, or --start for the next incarnation');
      const nextIn = (cluster: string): number | null =>
        cluster === container.cluster
          ? vmidOfEpoch(container, current.epoch + 1)
          : vmidElsewhere(container, cluster, observation.clusters[cluster]?.guests ?? []);
      const vmidIn = (cluster: string): number | null => (args.start ? nextIn(cluster) : (args.vmid ?? null));
      const now = session.runtime.clock.now();
      const detail = observation.clusters[current.cluster]?.details.find(
        (d) => d.vmid === current.vmid && d.node === current.node,
      );
      const known = detail?.macs ?? record?.identity?.macs ?? [];
      const macs = container.macs.length > 0 ? container.macs : known;
      const named =
        args.backup === undefined ? undefined : { volid: args.backup, acceptAgeMs: Number.POSITIVE_INFINITY };
      const choice = chooseBackup(observation.backups, { container, current, macs, now, named });
      if (choice.chosen === null)
        throw new FailedError(
          `${container.name}: no sound backup${args.backup === undefined ? '' : ` ${args.backup}`} on ${container.backup.storage}${choice.rejected.map((r) => `; ${r.what}: ${r.why}`).join('')}`,
        );
      const config = choice.chosen.archived?.config ?? null;
      const { underWay } = busyContainers(session);
      const asked: PlacementInput = {
        container,
        current,
        observation,
        backup: choice.chosen,
        memory: config?.memory ?? null,
        config,
        vmidIn,
        reserved: promised(observation, underWay),
        apart: takenByGroup({
          container,
          keepApart: session.inventory.keepApart,
          containers: session.inventory.containers,
          observation,
          state: session.state.read(),
          underWay,
          chosen: new Map(),
        }),
        only: args.to === undefined ? undefined : targetNamed(container, args.to),
      };
      const { to, bars, losses, container: asRestored } = placeByHand(asked, args.start);
      if (to === null || bars.length > 0)
        throw new BlockedError(
          `${container.name} can't be restored: ${bars.map((bar) => bar.what).join('; ')}`,
          { hint: bars.find((bar) => bar.fix !== null)?.fix ?? undefined },
        );
      const vmid = vmidIn(to.cluster);
      if (vmid === null) throw new FailedError(`${container.name} has no free vmid in cluster ${to.cluster}`);
      if (args.vmid !== undefined && vmid !== args.vmid)
        throw new InputError(`the next incarnation of ${container.name} is CT ${vmid}: leave --vmid away`);
      for (const { what, fix } of losses)
        session.teller.tell({
          kind: 'note',
          level: 'warn',
          container: container.name,
          text: `${what}${fix === null ? '' : ` (${fix})`}`,
        });
      const what = `${choice.chosen.volid} on ${to.node} as CT ${vmid}${args.start ? ', and start it' : ''}`;
      if (args.dryRun) {
        invocation.io.out(`would restore ${what}`);
        return EXIT.unhealthy;
      }
      const text = await restoreByHand(session, {
        container: asRestored,
        backup: choice.chosen,
        to,
        vmid,
        startAfter: args.start ? current : null,
      });
      await session.teller.end();
      invocation.io.out(
        args.json
          ? JSON.stringify({
              container: container.name,
              volid: choice.chosen.volid,
              ...to,
              vmid,
              started: args.start,
            })
          : text,
      );
      return EXIT.ok;
    } finally {
      await session.close();
    }
  },
});

function isVmid(vmid: number): boolean {
  return Number.isInteger(vmid) && vmid >= 100 && vmid <= 999_999_999;
}
