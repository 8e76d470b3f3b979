import { decideRequest } from '../lib/act/by-request.ts';
import { busyContainers } from '../lib/act/busy.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, dryRunFlag } from '../lib/cli/options.ts';
import { finish, move, refuseBusy } from '../lib/cli/move.ts';
import { takeOverWhenFree } from '../lib/cli/handover.ts';
import { containerNamed, openSession, type Session } from '../lib/cli/session.ts';
import { decide } from '../lib/decide/decide.ts';
import type { Decision, Plan, Request } from '../lib/decide/model.ts';
import { targetNamed } from '../lib/decide/reach.ts';
import { makePlan, planActs, sameAction } from '../lib/decide/plan.ts';
import { observe } from '../lib/observe/observe.ts';
import { BlockedError, InputError } from '../lib/errors.ts';
import type { Container } from '../lib/inventory/types.ts';
import { loadPlan, savePlan } from '../lib/state/plans.ts';
import { parseDuration } from '../lib/units.ts';

export const failover = defineCommand({
  usage: 'failover <name>',
  describe: 'move one container to another node by backup and restore, by hand',
  flags: (y) =>
    dryRunFlag(commonFlags(y))
      .positional('name', { type: 'string', demandOption: true, describe: 'the container' })
      .option('to', {
        type: 'string',
        requiresArg: true,
        describe: 'the node it shall go to, or CLUSTER/NODE',
      })
      // No default: it would count as given, and conflict.
      .option('planned', {
        type: 'boolean',
        describe:
          'the source is alive: stop it, back it up, restore exactly that (a stopped one is not started)',
      })
      .option('plan', {
        type: 'string',
        requiresArg: true,
        describe: 'execute exactly this plan (of `decide`, or of a --dry-run), or refuse',
      })
      .option('resume', {
        type: 'string',
        requiresArg: true,
        describe: 'go on with an interrupted operation',
      })
      .option('backup', { type: 'string', requiresArg: true, describe: 'use this volid' })
      .option('accept-data-loss', {
        type: 'string',
        requiresArg: true,
        describe: 'the age of that backup that is acceptable, for example 26h',
      })
      .option('despite-pause', {
        type: 'boolean',
        default: false,
        describe: 'somebody has paused everything, and this does not get in their way',
      })
      .conflicts('plan', ['to', 'planned', 'resume', 'backup'])
      .conflicts('resume', ['to', 'planned', 'backup'])
      .example('$0 failover dns --dry-run', 'show every gate, do nothing; prints the id of a plan')
      .example('$0 failover dns --planned --to pve2', 'move it while its node is alive; nothing is lost')
      .example(
        '$0 failover dns --backup nas:backup/vzdump-lxc-101-….tar.zst --accept-data-loss 26h',
        'use an older backup than the RPO allows',
      ),
  async run(args, invocation) {
    const session = await openSession(args, invocation, { steps: true });
    try {
      const container = containerNamed(session.inventory, args.name);
      if (args.resume !== undefined) {
        const op = session.operations.load(args.resume);
        if (op.container !== container.name)
          throw new InputError(`${op.id} is an operation of ${op.container}, not of ${container.name}`);
        if (op.status !== 'running') throw new InputError(`${op.id} has ended: ${op.status}`);
        await takeOverWhenFree(session, op);
        return await finish(session, op, args.json);
      }
      refuseBusy(session, container);
      if (args.plan !== undefined) {
        const decision = await fromPlan(session, args.plan, container);
        return await move(session, { container, decision }, args);
      }
      const request = requestOf(args, container);
      const decision = await decideRequest(session, container, request);
      const plan = args.dryRun ? planOf(session, decision, request) : null;
      return await move(session, { container, decision, plan }, args);
    } finally {
      await session.close();
    }
  },
});

interface Wish {
  readonly name: string;
  readonly to?: string | undefined;
  readonly planned?: boolean | undefined;
  readonly backup?: string | undefined;
  readonly acceptDataLoss?: string | undefined;
  readonly despitePause?: boolean | undefined;
}

function requestOf(args: Wish, container: Container): Request {
  if (args.acceptDataLoss !== undefined && args.backup === undefined)
    throw new InputError('--accept-data-loss goes with --backup VOLID');
  return {
    container: args.name,
    mode: args.planned === true ? 'planned' : 'by-hand',
    to: args.to === undefined ? undefined : targetNamed(container, args.to),
    despitePause: args.despitePause,
    backup:
      args.backup === undefined
        ? undefined
        : {
            volid: args.backup,
            acceptAgeMs: args.acceptDataLoss === undefined ? 0 : ageOf(args.acceptDataLoss),
          },
  };
}

function ageOf(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(`--accept-data-loss ${text} ${error.message}`, { hint: error.hint });
  }
}

/** Writes down what a dry run has found, for `--plan ID`; null: it would do nothing. */
function planOf({ inventory, state, runtime }: Session, decision: Decision, request: Request): Plan | null {
  const now = runtime.clock.now();
  const plan = makePlan(inventory, [decision], now, request);
  if (!planActs(plan)) return null;
  savePlan(state.local, plan, now);
  return plan;
}

/** The plan's decision on this container, if a fresh look leads to the very same; else BlockedError. */
async function fromPlan(session: Session, id: string, container: Container): Promise<Decision> {
  const { inventory, state, runtime } = session;
  const { name } = container;
  const plan = loadPlan(state.local, id, runtime.clock.now());
  const again = { hint: planAgain(plan) };
  if (plan.inventory !== inventory.digest)
    throw new BlockedError(`plan ${id} was made from another inventory`, again);
  const planned = plan.decisions.find((d) => d.container === name);
  if (planned === undefined) throw new InputError(`plan ${id} does not speak of ${name}`);
  if (planned.kind !== 'failover' && planned.kind !== 'start' && planned.kind !== 'restart')
    throw new BlockedError(`plan ${id} does nothing with ${name}: ${planned.why}`);
  const fresh =
    plan.request === undefined
      ? await dueNow(session, name)
      : await decideRequest(session, container, plan.request);
  if (fresh === undefined || !sameAction(fresh, planned))
    throw new BlockedError(
      `plan ${id} is stale: the world has changed (${name}: ${fresh === undefined ? 'gone' : `${fresh.kind}: ${fresh.why}`})`,
      again,
    );
  return fresh;
}

/** How such a plan is made anew. */
function planAgain({ request }: Plan): string {
  return request === undefined
    ? 'run `check` and `decide` again'
    : `run \`failover ${request.container} --dry-run\` again, with the same flags`;
}

/** What is due by itself, by a fresh look. */
async function dueNow(session: Session, name: string): Promise<Decision | undefined> {
  const { inventory, state, apis, runtime, signal } = session;
  const observation = await observe({ inventory, state: state.read(), apis, runtime, signal });
  const { busy, underWay } = busyContainers(session);
  const now = runtime.clock.now();
  return decide({ inventory, observation, state: state.read(), now, busy, underWay }).find(
    (d) => d.container === name,
  );
}
