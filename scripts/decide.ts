import { busyContainers } from '../lib/act/busy.ts';
import { viewProblems } from '../lib/act/tick.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { planLine } from '../lib/cli/move.ts';
import { commonFlags, narrowFlags } from '../lib/cli/options.ts';
import { show, warn } from '../lib/cli/say.ts';
import { narrow, openInventory, stateDir } from '../lib/cli/session.ts';
import { copyProofs } from '../lib/decide/copies.ts';
import { decide } from '../lib/decide/decide.ts';
import { makePlan, planActs } from '../lib/decide/plan.ts';
import { EXIT } from '../lib/errors.ts';
import { freshObservation } from '../lib/state/observation.ts';
import { openOperations } from '../lib/state/operations.ts';
import { savePlan } from '../lib/state/plans.ts';
import { openState } from '../lib/state/store.ts';
import { pauseLines } from '../lib/tell/brakes.ts';
import { explainCopies, explainDecision } from '../lib/tell/format.ts';

export const decideCommand = defineCommand({
  usage: 'decide [names..]',
  describe: 'what should be done, and why; writes a plan and prints its id',
  flags: (y) =>
    narrowFlags(commonFlags(y))
      .option('explain', {
        type: 'boolean',
        default: false,
        describe:
          'show every gate with its evidence and what would flip it, and for every copy how sure it is that it does not run',
      })
      .example('$0 check && $0 decide --explain', 'decide on what was just seen')
      .example('$0 failover dns --plan 0123456789ab', 'execute exactly the plan that was printed'),
  async run(args, invocation) {
    const { runtime, io } = invocation;
    const inventory = await openInventory(args, invocation);
    const dir = stateDir(args, invocation);
    const state = openState(dir, { clock: runtime.clock });
    const operations = openOperations(dir, { clock: runtime.clock });
    const now = runtime.clock.now();
    const only = narrow(inventory, args.names, args.cluster);
    const observation = freshObservation(state.local, inventory, now);
    const { busy, underWay } = busyContainers({ operations, inventory });
    const decisions = decide({
      inventory,
      observation,
      state: state.read(),
      now: observation.at,
      busy,
      underWay,
    }).filter((d) => only?.has(d.container) ?? true);
    const plan = makePlan(inventory, decisions, now);
    const acts = planActs(plan);
    if (acts) savePlan(state.local, plan, now);
    if (args.json)
      io.out(
        JSON.stringify(
          { plan: acts ? plan.id : null, expiresAt: acts ? plan.expiresAt : null, decisions },
          null,
          2,
        ),
      );
    else {
      const copies = copyProofs({ inventory, observation, state: state.read(), now: observation.at });
      for (const decision of decisions) {
        const lines = explainDecision(decision);
        for (const line of args.explain
          ? [...lines, ...explainCopies(copies.get(decision.container) ?? [])]
          : lines.slice(0, 1))
          show(io, line);
      }
      if (acts) show(io, planLine(plan, 'NAME'));
    }
    const unseen = viewProblems(observation);
    warn(io, [...pauseLines(state.read(), now), ...unseen]);
    if (decisions.some((d) => d.kind === 'blocked')) return EXIT.blocked;
    if (acts) return EXIT.unhealthy;
    const unsure = unseen.length > 0 || decisions.some((d) => d.verdict.kind === 'inconclusive');
    return unsure ? EXIT.inconclusive : EXIT.ok;
  },
});
