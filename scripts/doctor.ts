import { defineCommand } from '../lib/cli/command.ts';
import { lookClosely } from '../lib/cli/look.ts';
import { commonFlags, narrowFlags } from '../lib/cli/options.ts';
import { warn } from '../lib/cli/say.ts';
import { narrow, openInventory, stateDir } from '../lib/cli/session.ts';
import { EXIT } from '../lib/errors.ts';
import { doctorJson, doctorReport } from '../lib/tell/doctor.ts';

export const doctor = defineCommand({
  usage: 'doctor [names..]',
  describe: 'check online everything that a failover will need; changes nothing',
  flags: (y) =>
    narrowFlags(commonFlags(y))
      .example('$0 doctor', 'what is wrong with the fix, and what would happen if a node died')
      .example('$0 doctor dns --json', 'one container, for a program; every finding has a stable id')
      .epilogue('exit code: 0 nothing to mend, 3 warnings or failures, 1 no cluster could be seen'),
  async run(args, invocation) {
    const { io } = invocation;
    const inventory = await openInventory(args, invocation);
    const { facts, diagnosis } = await lookClosely(
      {
        inventory,
        stateDir: stateDir(args, invocation),
        cluster: args.cluster,
        only: narrow(inventory, args.names, args.cluster),
      },
      invocation,
    );
    warn(io, inventory.warnings);
    io.out(
      args.json
        ? JSON.stringify(doctorJson(diagnosis, facts.at), null, 2)
        : doctorReport(diagnosis, io.tty ? io.columns : Infinity, facts.at),
    );
    if (diagnosis.blind) return EXIT.failed;
    return diagnosis.findings.some((f) => f.level !== 'note') ? EXIT.unhealthy : EXIT.ok;
  },
});
