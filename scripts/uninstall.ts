import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { show } from '../lib/cli/say.ts';
import { EXIT } from '../lib/errors.ts';
import { removeMarked, standingOf } from '../lib/install/marked.ts';
import { systemctl, systemdRuns, TIMER } from '../lib/install/systemd.ts';
import { DEFAULT_DIR, NAMES } from '../lib/install/texts.ts';
import { kindFlags, kindOf } from './install.ts';

export const uninstall = defineCommand({
  usage: 'uninstall',
  describe: 'remove what `install` has written; inventory, state and tokens stay',
  flags: (y) =>
    kindFlags(commonFlags(y)).example('$0 uninstall --systemd', 'an operation under way goes on to its end'),
  async run(args, { io, runtime }) {
    const kind = kindOf(args);
    const dir = args.dir ?? DEFAULT_DIR[kind];
    // All are looked at before the first is removed.
    const there = NAMES[kind].filter((name) => standingOf(dir, { name, text: '' }) !== 'missing');
    const live = kind === 'systemd' && args.dir === undefined && there.length > 0 && systemdRuns();
    if (live) await systemctl(runtime, 'disable', '--now', TIMER);
    for (const name of there) removeMarked(dir, { name });
    if (live) await systemctl(runtime, 'daemon-reload');
    if (args.json) io.out(JSON.stringify({ kind, dir, removed: there }, null, 2));
    else
      show(
        io,
        there.length === 0
          ? `nothing of it is installed in ${dir}`
          : `${there.map((name) => `${dir}/${name}`).join(' and ')} removed; inventory, state and tokens are as they were`,
      );
    return EXIT.ok;
  },
});
