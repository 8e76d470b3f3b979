import { spawn } from 'node:child_process';
import { tick, tickExitCode } from '../lib/act/tick.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, dryRunFlag, narrowFlags } from '../lib/cli/options.ts';
import { inventoryDir, narrow, openSession, stateDir } from '../lib/cli/session.ts';
import { explainDecision } from '../lib/tell/format.ts';
import { statusRows } from '../lib/tell/status-table.ts';

export const checkAndFailover = defineCommand({
  usage: 'check-and-failover [names..]',
  describe: 'what cron runs every minute: resume, reconcile, check, decide, failover',
  flags: (y) =>
    dryRunFlag(narrowFlags(commonFlags(y)))
      .option('detach', {
        type: 'boolean',
        default: false,
        describe: 'hand operations to a process that outlives this one (for systemd and CI)',
      })
      .option('explain', {
        type: 'boolean',
        default: false,
        describe: 'show every gate of what is not healthy',
      })
      .example('$0 check-and-failover', 'one run; a failover that is due is carried out before it returns')
      .example('* * * * * proxwarden check-and-failover', 'in a crontab'),
  async run(args, invocation) {
    const session = await openSession(args, invocation, { steps: true });
    try {
      const only = narrow(session.inventory, args.names, args.cluster);
      const handOver = args.detach
        ? (op: { id: string; container: string }): void => {
            const [node, script] = [process.execPath, process.argv[1] ?? ''];
            const words = [
              script,
              'failover',
              op.container,
              '--resume',
              op.id,
              '--inventory',
              inventoryDir(args, invocation),
              '--state',
              stateDir(args, invocation),
            ];
            spawn(node, words, { detached: true, stdio: 'ignore' }).unref();
          }
        : undefined;
      const result = await tick(session, { dryRun: args.dryRun, only, handOver });
      const now = session.runtime.clock.now();
      const rows = statusRows(session.inventory, result.state, result.observation, [], now).filter(
        (r) => only?.has(r.container) ?? true,
      );
      await session.teller.end();
      for (const problem of result.problems) invocation.io.err(`warning: ${problem}`);
      if (args.json)
        invocation.io.out(
          JSON.stringify(
            {
              at: now,
              containers: rows,
              decisions: result.decisions,
              outcomes: result.outcomes,
              findings: result.findings.map(({ container, text }) => ({ container, text })),
              problems: result.problems,
            },
            null,
            2,
          ),
        );
      else {
        if (args.explain)
          for (const d of result.decisions)
            if (d.kind !== 'none') for (const line of explainDecision(d)) invocation.io.out(line);
        const healthy = rows.filter((r) => r.verdict === 'healthy').length;
        invocation.io.out(
          `${healthy} of ${rows.length} containers healthy${
            rows.length === healthy
              ? ''
              : `; not: ${rows
                  .filter((r) => r.verdict !== 'healthy')
                  .map((r) => `${r.container} (${r.verdict} ${r.failures})`)
                  .join(', ')}`
          }`,
        );
      }
      return tickExitCode(result);
    } finally {
      await session.close();
    }
  },
});
