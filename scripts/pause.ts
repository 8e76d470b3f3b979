import { endOf } from '../lib/cli/moment.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { personName } from '../lib/cli/person.ts';
import { recordEvents } from '../lib/cli/record.ts';
import { show, warn } from '../lib/cli/say.ts';
import { stateDir } from '../lib/cli/session.ts';
import { joined } from '../lib/decide/brake-begin.ts';
import { pauseText } from '../lib/decide/brakes.ts';
import { EXIT } from '../lib/errors.ts';
import type { Brake } from '../lib/state/model.ts';
import { openOperations } from '../lib/state/operations.ts';
import { openState } from '../lib/state/store.ts';
import { inHandLine, inHandOf } from '../lib/tell/brakes.ts';

const POLL_MS = 1000;

export const pause = defineCommand({
  usage: 'pause',
  describe: 'nothing is done by itself any more, until `unpause`; checks and counts go on',
  flags: (y) =>
    commonFlags(y)
      .option('for', { type: 'string', requiresArg: true, describe: 'it ends by itself after this time, 2h' })
      .option('reason', {
        type: 'string',
        requiresArg: true,
        default: '',
        describe: 'for the others: shown in every run and in status',
      })
      .option('wait', {
        type: 'boolean',
        default: false,
        describe: 'return when no operation is in hand any more',
      })
      .example('$0 pause --for 2h --reason "new switch"', 'before work that looks like an outage')
      .example('$0 pause --wait && reboot', 'not in the middle of a failover')
      .epilogue(
        [
          'It holds for automatic failovers, starts and restarts, and for what a run clears away; `failover NAME` wants --despite-pause. A superseded original that returns is stopped all the same: there are never two.',
          'An operation in hand ends if it has not stopped, powered off or restored anything yet. Else it goes on to its end.',
          'At the end of a pause all counts begin anew. To pause twice never shortens it.',
        ].join('\n\n'),
      ),
  async run(args, invocation) {
    const { runtime, io, signal } = invocation;
    const dir = stateDir(args, invocation);
    const store = openState(dir, { clock: runtime.clock });
    const now = runtime.clock.now();
    const added: Brake = {
      since: now,
      until: endOf(args, now),
      by: personName(runtime.env),
      reason: args.reason,
    };
    let paused = added;
    let before: Brake | null = null;
    const state = await store.update((s) => {
      before = s.paused;
      paused = joined(s.paused, added);
      s.paused = paused;
    });
    const text = pauseText(paused, now);
    if (JSON.stringify(before) !== JSON.stringify(paused))
      recordEvents(store.local, [{ at: now, kind: 'brake', container: null, text }], (why) =>
        warn(io, [why]),
      );
    const operations = openOperations(dir, { clock: runtime.clock });
    const inHand = inHandOf(operations.list().operations);
    if (args.json) io.out(JSON.stringify({ paused, inHand }, null, 2));
    else for (const line of [text, ...inHand.map(inHandLine)]) show(io, line);
    if (state.lastRunAt === null)
      warn(io, [`no run has used the state folder ${dir} yet: is it the one of your cron job (--state)?`]);
    while (args.wait && inHandOf(operations.list().operations).length > 0)
      await runtime.clock.sleep(POLL_MS, signal);
    return EXIT.ok;
  },
});
