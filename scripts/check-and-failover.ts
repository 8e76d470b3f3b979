import { copyProofs } from '../lib/decide/copies.ts';
import { handsOff, tick, tickExitCode } from '../lib/act/tick.ts';
import { again, paceOf, type Pace, type Repeated } from '../lib/cli/again.ts';
import { defineCommand, type Invocation } from '../lib/cli/command.ts';
import { commonFlags, dryRunFlag, narrowFlags } from '../lib/cli/options.ts';
import { sayFailure, show, warn } from '../lib/cli/say.ts';
import { narrow, openSession, type CommonArgs, type Session } from '../lib/cli/session.ts';
import { handOver } from '../lib/cli/handover.ts';
import { EXIT, messageOf, ProxwardenError, type ExitCode } from '../lib/errors.ts';
import type { Operation } from '../lib/state/model.ts';
import { pauseLines } from '../lib/tell/brakes.ts';
import { explainCopies, explainDecision } from '../lib/tell/format.ts';
import { createHeartbeat, type Heartbeat } from '../lib/tell/heartbeat.ts';
import { tellNeeds, tellOperations } from '../lib/tell/notify/tell-needs.ts';
import { statusRows } from '../lib/tell/status-table.ts';
import { formatDuration } from '../lib/units.ts';

/** The end of the log is enough for the heartbeat. */
const LOG_LINES = 500;

export const checkAndFailover = defineCommand({
  usage: 'check-and-failover [names..]',
  describe: 'what cron runs every minute: resume, reconcile, check, decide, failover',
  flags: (y) =>
    dryRunFlag(narrowFlags(commonFlags(y)))
      .option('detach', {
        type: 'boolean',
        default: false,
        describe:
          'hand operations to processes that outlive this one (CI; in a systemd unit with KillMode=process)',
      })
      .option('for', {
        type: 'string',
        requiresArg: true,
        describe:
          'with --every: repeat the run for so long, for example 55s of the minute between two calls of cron',
      })
      .option('every', {
        type: 'string',
        requiresArg: true,
        describe: 'with --for: how often; counts still move at most once in half an `interval`',
      })
      .option('explain', {
        type: 'boolean',
        default: false,
        describe: 'of what is not healthy: show every gate, and how sure it is that its copies do not run',
      })
      .example('$0 check-and-failover', 'one run; a failover that is due is carried out before it returns')
      .example('* * * * * proxwarden check-and-failover', 'in a crontab')
      .example(
        '* * * * * proxwarden check-and-failover --for 55s --every 10s',
        'six looks a minute: with `interval: 10s` a death is noticed within half of one',
      ),
  async run(args, given) {
    const pace = paceOf(args);
    const log: string[] = [];
    const invocation = listenIn(given, log);
    const { runtime, signal, io } = invocation;
    // One for all runs of this call: what listens expects it as often as cron calls.
    const heartbeat: { begun?: Heartbeat } = {};
    let code: ExitCode = EXIT.failed;
    const once = async (): Promise<Repeated> => {
      const session = await openSession(args, invocation, { steps: true });
      try {
        if (heartbeat.begun === undefined) {
          const listener = args.dryRun ? null : session.inventory.heartbeat;
          heartbeat.begun = createHeartbeat(listener, runtime, signal);
          heartbeat.begun.start();
          if (pace !== null) warn(io, tooOften(session, pace));
        }
        return await oneRun(session, args);
      } finally {
        await session.close();
      }
    };
    try {
      const failed = (error: ProxwardenError): void => sayFailure(io, error);
      code =
        pace === null
          ? (await once()).code
          : await again(pace, { clock: runtime.clock, signal, failed }, once);
      return code;
    } catch (error) {
      if (error instanceof ProxwardenError) code = error.exitCode;
      log.push(messageOf(error));
      throw error;
    } finally {
      const unheard = await heartbeat.begun?.end(code, log.join('\n'));
      if (unheard != null) warn(given.io, [unheard]);
    }
  },
});

/** Runs between which no count can move are worth a word. */
function tooOften({ inventory }: Session, { everyMs }: Pace): string[] {
  const shortest = Math.min(...Object.values(inventory.containers).map((c) => c.intervalMs));
  if (!Number.isFinite(shortest) || 2 * everyMs >= shortest) return [];
  const [every, half] = [formatDuration(everyMs), formatDuration(shortest / 2)];
  return [
    `--every ${every}: counts move every ${half} at most, which is half of the shortest \`interval\` (${formatDuration(shortest)})`,
  ];
}

interface RunArgs extends CommonArgs {
  readonly names: readonly string[];
  readonly cluster?: string | undefined;
  readonly dryRun: boolean;
  readonly detach: boolean;
  readonly explain: boolean;
  readonly every?: string | undefined;
}

/** One run, with what it prints. */
async function oneRun(session: Session, args: RunArgs): Promise<Repeated> {
  const { invocation } = session;
  const only = narrow(session.inventory, args.names, args.cluster);
  const handed: Operation[] = [];
  const take = args.detach ? (op: Operation): void => void handed.push(op) : undefined;
  if (!args.dryRun) tellOperations(session, session.operations.list().operations);
  const ticked = await tick(session, { dryRun: args.dryRun, only, handOver: take });
  // A look at some containers knows nothing of the others' needs.
  const untold = args.dryRun || only !== undefined ? [] : await tellNeeds(session, ticked);
  const left = await handOver(handed, args, invocation);
  const result = { ...ticked, problems: [...ticked.problems, ...untold, ...left] };
  const now = session.runtime.clock.now();
  const rows = statusRows(session.inventory, result.state, result.observation, [], now).filter(
    (r) => only?.has(r.container) ?? true,
  );
  await session.teller.end();
  warn(invocation.io, [...pauseLines(result.state, now), ...result.problems]);
  if (args.json)
    invocation.io.out(
      JSON.stringify(
        {
          at: now,
          paused: result.state.paused,
          containers: rows,
          decisions: result.decisions,
          outcomes: result.outcomes,
          findings: result.findings.map(({ container, text }) => ({ container, text })),
          problems: result.problems,
        },
        null,
        // Of several runs: one line each.
        args.every === undefined ? 2 : 0,
      ),
    );
  else {
    if (args.explain) {
      const { inventory } = session;
      const { observation, state } = result;
      const copies = copyProofs({ inventory, observation, state, now: observation.at });
      for (const d of result.decisions.filter(({ kind }) => kind !== 'none')) {
        // What was done since has changed the copies, and its steps have told how each was proven.
        const done = result.outcomes.some((o) => o.container === d.container);
        const proofs = done ? [] : (copies.get(d.container) ?? []);
        for (const line of [...explainDecision(d), ...explainCopies(proofs)]) show(invocation.io, line);
      }
    }
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
  for (const name of handsOff(result.state, result.decisions)) {
    // Its decision has just said why.
    const told = result.decisions.some(
      (d) => d.container === name && d.kind === 'blocked' && /^(error|flapping): /.test(d.why),
    );
    const why = told ? '' : `: ${result.state.containers[name]?.error?.reason ?? ''}`;
    invocation.io.err(
      `warning: ${name} is not protected${why}; when that is mended, \`proxwarden ack ${name}\``,
    );
  }
  return { code: tickExitCode(result), last: handed.length > 0 };
}

/** What is printed is kept for the heartbeat, too. */
function listenIn(invocation: Invocation, log: string[]): Invocation {
  const { io } = invocation;
  const keep = (text: string): void => {
    log.push(text);
    if (log.length > LOG_LINES) log.shift();
  };
  return {
    ...invocation,
    io: {
      workflow: io.workflow,
      tty: io.tty,
      ascii: io.ascii,
      get columns() {
        return io.columns;
      },
      out: (text) => {
        keep(text);
        io.out(text);
      },
      err: (text) => {
        keep(text);
        io.err(text);
      },
    },
  };
}
