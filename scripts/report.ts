import { resolve } from 'node:path';
import { busyContainers } from '../lib/act/busy.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { lookClosely } from '../lib/cli/look.ts';
import { commonFlags, narrowFlags } from '../lib/cli/options.ts';
import { writeOut } from '../lib/cli/out-file.ts';
import { warn } from '../lib/cli/say.ts';
import { narrow, openInventory, stateDir } from '../lib/cli/session.ts';
import { EXIT } from '../lib/errors.ts';
import { redact } from '../lib/redact.ts';
import { readDays } from '../lib/state/days.ts';
import { lastObservation } from '../lib/state/observation.ts';
import { openOperations } from '../lib/state/operations.ts';
import { openState } from '../lib/state/store.ts';
import { makeReport, type Report } from '../lib/tell/report/model.ts';
import { printable } from '../lib/text.ts';

const FORMATS = ['md', 'html', 'prometheus'] as const;
type Format = (typeof FORMATS)[number];

export const report = defineCommand({
  usage: 'report [names..]',
  describe: 'the state of everything as Markdown, as one HTML page, or as metrics',
  flags: (y) =>
    narrowFlags(commonFlags(y))
      .option('format', { choices: FORMATS, default: 'md' as const, describe: 'what it is written as' })
      .option('out', {
        type: 'string',
        requiresArg: true,
        describe: 'write it into this file, in one step, instead of printing it',
      })
      .option('offline', {
        type: 'boolean',
        default: false,
        describe:
          'from the state alone: no API call, no probe; then it says nothing of backups and of what would happen',
      })
      .example('$0 report --format html --out /var/www/html/proxwarden.html', 'a page for people')
      .example(
        '$0 report --format prometheus --out /var/lib/prometheus/node-exporter/proxwarden.prom',
        'for the textfile collector of node_exporter',
      )
      .epilogue('exit code: 0 it is made, 5 it is, too, but no cluster could be seen'),
  async run(args, invocation) {
    const { runtime, io, cwd } = invocation;
    const inventory = await openInventory(args, invocation);
    const dir = stateDir(args, invocation);
    const only = narrow(inventory, args.names, args.cluster);
    const store = openState(dir, { clock: runtime.clock });
    const state = store.read();
    const looked = args.offline
      ? null
      : await lookClosely({ inventory, stateDir: dir, cluster: args.cluster, only }, invocation);
    const operations = openOperations(dir, { clock: runtime.clock });
    const { cut, problems } = busyContainers({ operations, inventory });
    const now = runtime.clock.now();
    const { days, problems: unread } = readDays(store.local, now);
    const made = makeReport({
      inventory,
      state,
      looked,
      last: lastObservation(store.local, now),
      days,
      operations: operations.list().operations,
      cut,
      problems: [...problems, ...unread],
      only,
      now,
    });
    const text = args.json ? JSON.stringify(made, null, 2) : await formatted(made, args.format);
    // Nobody's words may move the cursor or turn the text around, on a page neither.
    if (args.out === undefined) io.out(text.trimEnd());
    else writeOut(resolve(cwd, args.out), `${printable(redact(text), '\n\t').trimEnd()}\n`);
    warn(io, made.notices);
    return made.blind ? EXIT.inconclusive : EXIT.ok;
  },
});

async function formatted(made: Report, format: Format): Promise<string> {
  switch (format) {
    case 'md':
      return (await import('../lib/tell/report/markdown.ts')).reportMarkdown(made);
    case 'html':
      return (await import('../lib/tell/report/page.ts')).reportPage(made);
    case 'prometheus':
      return (await import('../lib/tell/report/prometheus.ts')).reportMetrics(made);
  }
}
