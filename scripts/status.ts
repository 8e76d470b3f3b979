import { busyContainers } from '../lib/act/busy.ts';
import { defineCommand } from '../lib/cli/command.ts';
import { commonFlags, narrowFlags } from '../lib/cli/options.ts';
import { show, warn } from '../lib/cli/say.ts';
import { narrow, openInventory, stateDir } from '../lib/cli/session.ts';
import { failoversWithinHour } from '../lib/decide/gates.ts';
import { EXIT } from '../lib/errors.ts';
import { lastObservation } from '../lib/state/observation.ts';
import { ITSELF } from '../lib/state/model.ts';
import { openOperations } from '../lib/state/operations.ts';
import { openState } from '../lib/state/store.ts';
import { maintenanceRows, maintenanceTable, pauseLines } from '../lib/tell/brakes.ts';
import { leftInventory, statusRows, statusTable } from '../lib/tell/status-table.ts';
import { formatDuration } from '../lib/units.ts';

export const status = defineCommand({
  usage: 'status [names..]',
  describe: 'what was last seen of every container, without touching anything',
  flags: (y) =>
    narrowFlags(commonFlags(y)).example('$0 status', 'from the state only: no API call, no probe'),
  async run(args, invocation) {
    const { runtime, io } = invocation;
    const inventory = await openInventory(args, invocation);
    const dir = stateDir(args, invocation);
    const store = openState(dir, { clock: runtime.clock });
    const state = store.read();
    const operations = openOperations(dir, { clock: runtime.clock });
    const only = narrow(inventory, args.names, args.cluster);
    const now = runtime.clock.now();
    const observation = lastObservation(store.local, now);
    const { cut, problems } = busyContainers({ operations, inventory });
    const rows = statusRows(inventory, state, observation, cut, now).filter(
      (r) => only?.has(r.container) ?? true,
    );
    const notCovered = Object.keys(inventory.containers).flatMap((container) => {
      const text = state.containers[container]?.coverage?.problem ?? null;
      return text !== null && (only?.has(container) ?? true) ? [{ container, text }] : [];
    });
    const left = only === undefined ? leftInventory(inventory, state) : [];
    const ended = operations
      .list()
      .operations.filter((o) => o.status !== 'running' && (only?.has(o.container) ?? true))
      .slice(-5);
    const inMaintenance = maintenanceRows(state, observation);
    const withinHour = failoversWithinHour(state, now);
    if (args.json) {
      io.out(
        JSON.stringify(
          {
            lastRunAt: state.lastRunAt,
            containers: rows,
            leftInventory: left,
            notCovered,
            operations: [...ended, ...cut].map(
              ({ id, kind, container, status: s, createdAt, endedAt, reason }) => ({
                id,
                kind,
                container,
                status: s,
                createdAt,
                endedAt,
                reason,
              }),
            ),
            paused: state.paused,
            maintenance: inMaintenance,
            limits: { ...inventory.limits, withinHour },
            fenceConfirmed: state.fenceConfirmed,
            problems,
          },
          null,
          2,
        ),
      );
    } else {
      io.out(statusTable(rows, io.columns));
      if (inMaintenance.length > 0) io.out(maintenanceTable(inMaintenance, now, io.columns));
      for (const line of pauseLines(state, now)) show(io, line);
      io.out(
        `last run: ${state.lastRunAt === null ? 'never' : `${formatDuration(now - state.lastRunAt)} ago`}`,
      );
      for (const { text } of left) show(io, text);
      for (const { text } of notCovered) show(io, text);
      const { failoversPerHour, failoversPerRun } = inventory.limits;
      io.out(
        `automatic failovers: ${withinHour} of ${failoversPerHour} within the hour, ${failoversPerRun} in one run`,
      );
      for (const op of ended) io.out(`${op.id}  ${op.kind} ${op.container}: ${op.status}`);
      warn(io, problems);
    }
    if (problems.length > 0) return EXIT.failed;
    if (left.length > 0 || state.paused?.by === ITSELF || rows.some((r) => r.detail.startsWith('HANDS OFF')))
      return EXIT.blocked;
    return rows.some((r) => r.verdict === 'unhealthy' && r.maintenance === null) ? EXIT.unhealthy : EXIT.ok;
  },
});
