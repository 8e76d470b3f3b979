import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, narrowFlags } from '../lib/cli/options.ts';
import { warn } from '../lib/cli/say.ts';
import { connectTo, narrow, openInventory, stateDir } from '../lib/cli/session.ts';
import { diagnose } from '../lib/decide/doctor/diagnose.ts';
import { EXIT, messageOf, ProxwardenError } from '../lib/errors.ts';
import { readCertificate } from '../lib/observe/doctor/certificate.ts';
import { examine, type Access } from '../lib/observe/doctor/examine.ts';
import { runnerFacts } from '../lib/observe/doctor/runner.ts';
import { emptyState } from '../lib/state/model.ts';
import { openState } from '../lib/state/store.ts';
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
    const { runtime, io, signal } = invocation;
    const inventory = openInventory(args, invocation);
    const only = narrow(inventory, args.names, args.cluster);
    const wanted = new Set(
      only === undefined
        ? Object.keys(inventory.clusters)
        : [
            ...(args.cluster === undefined ? [] : [args.cluster]),
            ...[...only].flatMap((name) => inventory.containers[name]?.cluster ?? []),
          ],
    );
    const access = new Map<string, Access>();
    for (const cluster of Object.values(inventory.clusters))
      if (wanted.has(cluster.name)) access.set(cluster.name, await open(cluster));
    const dir = stateDir(args, invocation);
    let runner = runnerFacts(dir);
    let state = emptyState();
    try {
      const store = openState(dir, { clock: runtime.clock });
      state = store.read();
      if (runner.stateFs.kind !== 'refused') store.assertWritable();
    } catch (error) {
      if (!(error instanceof ProxwardenError)) throw error;
      runner = { ...runner, stateProblem: messageOf(error) };
    }
    try {
      const facts = await examine({
        inventory,
        state,
        access,
        runner,
        certificate: readCertificate,
        runtime,
        signal,
        only,
      });
      const diagnosis = diagnose(inventory, facts, only);
      warn(io, inventory.warnings);
      io.out(
        args.json
          ? JSON.stringify(doctorJson(diagnosis, facts.at), null, 2)
          : doctorReport(diagnosis, io.tty ? io.columns : Infinity, facts.at),
      );
      if (diagnosis.blind) return EXIT.failed;
      return diagnosis.findings.some((f) => f.level !== 'note') ? EXIT.unhealthy : EXIT.ok;
    } finally {
      await Promise.all([...access.values()].flatMap((one) => ('api' in one ? [one.api.close()] : [])));
    }

    async function open(cluster: (typeof inventory.clusters)[string]): Promise<Access> {
      try {
        return await connectTo(cluster, invocation);
      } catch (error) {
        if (!(error instanceof ProxwardenError)) throw error;
        return { problem: { text: messageOf(error), fix: error.hint ?? null } };
      }
    }
  },
});
