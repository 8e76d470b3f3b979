import { busyContainers } from '../lib/act/busy.ts';
import { foldObservation } from '../lib/act/fold.ts';
import { endpointProblems, handsOff, verdictExitCode, viewProblems } from '../lib/act/tick.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { warn } from '../lib/cli/say.ts';
import { commonFlags, narrowFlags } from '../lib/cli/options.ts';
import { narrow, openSession } from '../lib/cli/session.ts';
import { decide } from '../lib/decide/decide.ts';
import { observe } from '../lib/observe/observe.ts';
import { writeObservation } from '../lib/state/observation.ts';
import { pauseLines } from '../lib/tell/brakes.ts';
import { statusRows, statusTable } from '../lib/tell/status-table.ts';
import { EXIT } from '../lib/errors.ts';

export const check = defineCommand({
  usage: 'check [names..]',
  describe: 'probe the services, look at the clusters, print a table',
  flags: (y) =>
    narrowFlags(commonFlags(y))
      .option('count', {
        type: 'boolean',
        default: false,
        describe: 'let the consecutive-failure counts move, as cron does',
      })
      .example('$0 check', 'look at everything; the counts stay as they are')
      .example('$0 check dns --json', 'one container, for a program'),
  async run(args, invocation) {
    const session = await openSession(args, invocation);
    try {
      const { inventory, state, apis, runtime, signal } = session;
      const only = narrow(inventory, args.names, args.cluster);
      const observation = await observe({ inventory, state: state.read(), apis, runtime, signal, only });
      const folded = await foldObservation(session, observation, { count: args.count });
      if (only === undefined) writeObservation(state.local, observation);
      const now = runtime.clock.now();
      const decisions = decide({
        inventory,
        observation,
        state: folded,
        now,
        busy: new Map(),
        underWay: [],
      }).filter((d) => only?.has(d.container) ?? true);
      // The table shows this look's verdicts, whether they were counted or not.
      const shown = structuredClone(folded);
      for (const d of decisions) {
        const record = shown.containers[d.container];
        if (record !== undefined) record.verdict = d.verdict;
      }
      const { cut } = busyContainers(session);
      const rows = statusRows(inventory, shown, observation, cut, now).filter(
        (r) => only?.has(r.container) ?? true,
      );
      const problems = viewProblems(observation);
      const endpoints = endpointProblems(observation);
      invocation.io.out(
        args.json
          ? JSON.stringify(
              {
                at: observation.at,
                paused: folded.paused,
                containers: rows,
                canaries: observation.canaries,
                probes: observation.probes,
                problems,
                endpoints,
              },
              null,
              2,
            )
          : statusTable(rows, invocation.io.columns),
      );
      warn(invocation.io, [...pauseLines(folded, now), ...problems, ...endpoints]);
      const verdicts = verdictExitCode(decisions);
      const code = verdicts === EXIT.ok && handsOff(folded, decisions).length > 0 ? EXIT.blocked : verdicts;
      return code === EXIT.ok && problems.length > 0 ? EXIT.inconclusive : code;
    } finally {
      await session.close();
    }
  },
});
