import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { personName } from '../lib/cli/person.ts';
import { recordEvents } from '../lib/cli/record.ts';
import { show, warn } from '../lib/cli/say.ts';
import { stateDir } from '../lib/cli/session.ts';
import { endPause } from '../lib/decide/brakes.ts';
import { EXIT } from '../lib/errors.ts';
import type { Brake } from '../lib/state/model.ts';
import { openState } from '../lib/state/store.ts';
import { formatDuration } from '../lib/units.ts';

export const unpause = defineCommand({
  usage: 'unpause',
  describe: 'ends a pause: what is down is counted anew, and then acted on',
  flags: (y) => commonFlags(y).example('$0 unpause', 'the next runs count from zero before anything is done'),
  async run(args, invocation) {
    const { runtime, io } = invocation;
    const dir = stateDir(args, invocation);
    const now = runtime.clock.now();
    let ended: Brake | null = null;
    const store = openState(dir, { clock: runtime.clock });
    await store.update((s) => {
      ended = s.paused;
      if (s.paused !== null) endPause(s);
    });
    const text = ended === null ? 'nothing was paused' : endText(ended, personName(runtime.env), now);
    if (ended !== null)
      recordEvents(store.local, [{ at: now, kind: 'brake', container: null, text }], (why) =>
        warn(io, [why]),
      );
    if (args.json) io.out(JSON.stringify({ ended }, null, 2));
    else show(io, text);
    return EXIT.ok;
  },
});

function endText({ by, since, reason }: Brake, who: string, now: number): string {
  const what = `the pause by ${by} of ${formatDuration(Math.max(now - since, 0))} ago`;
  return `${what}${reason === '' ? '' : ` (${reason})`} is ended by ${who}: all counts begin anew`;
}
