/** What would happen, in a table for people. Pure. */
import type { Consequence } from '../decide/doctor/consequences.ts';
import type { FailoverAction } from '../decide/model.ts';
import { formatDuration } from '../units.ts';
import { fill } from './wrap.ts';

export interface Outcome {
  readonly event: string;
  readonly containers: readonly string[];
  /** What happens, in a sentence. */
  readonly text: string;
  /** What a person types, in this order. */
  readonly commands: readonly string[];
  /** What has to be changed first where no command helps. */
  readonly remedy: string | null;
}

/** The rows of one cluster's table: by event, containers that fare alike together. `now`: epoch ms. */
export function outcomes(consequences: readonly Consequence[], now: number): Outcome[] {
  const rows = consequences.flatMap((one): Outcome[] => {
    const row = { event: eventText(one), containers: [one.container], commands: [], remedy: null };
    if (one.event === 'node-cut-off') return [{ ...row, text: cutOff(one, consequences) }];
    return [
      {
        ...row,
        text: sentence(one, now),
        commands: one.commands,
        remedy: one.outcome === 'blocked' ? (one.stuck?.flip ?? null) : null,
      },
    ];
  });
  const grouped = new Map<string, Outcome>();
  for (const row of rows) {
    // Commands name their container, so such rows stay apart.
    const key = JSON.stringify([row.event, row.text, row.commands, row.remedy]);
    const known = grouped.get(key);
    grouped.set(
      key,
      known === undefined ? row : { ...known, containers: [...known.containers, ...row.containers] },
    );
  }
  return [...grouped.values()];
}

function eventText({ event, node }: Consequence): string {
  switch (event) {
    case 'node-dies':
      return `${node} dies`;
    case 'service-dies':
      return 'its service dies';
    case 'node-cut-off':
      return `${node} is cut off`;
    case 'runner-cut-off':
      return 'this machine is cut off';
  }
}

function sentence(one: Consequence, now: number): string {
  const first = one.restarts ? 'restarted in place once; then ' : '';
  switch (one.outcome) {
    case 'automatic':
      return `${first}automatic: ${actionText(one.action, now)}`;
    case 'by-hand':
      return `${first}waits for you (${reason(one)}); after the command${one.commands.length === 1 ? '' : 's'}: ${actionText(one.action, now)}`;
    case 'blocked':
      return `${first}blocked: ${reason(one)}`;
    case 'nothing':
      // `tcp …: no answer, but no quorate view …`: what keeps it from acting is the same for all.
      return `nothing is done: ${one.decision.why.split(', but ').at(-1) ?? ''}`;
  }
}

/** The evidence of the gate in the way; of a proof only what is demanded, the rest being plain. */
function reason({ stuck }: Consequence): string {
  if (stuck === null) return 'nothing can be done';
  const [, proof = ''] = /(P\d is demanded[^;]*);/.exec(stuck.evidence) ?? [];
  return stuck.gate === 'proof' && proof !== '' ? `nothing proves the node off; ${proof}` : stuck.evidence;
}

function actionText(action: FailoverAction | null, now: number): string {
  if (action === null) return 'nothing';
  const { target, fence, sourceAlive, backupAt, retire } = action;
  const nodes = fence.map((key) => key.slice(key.indexOf('/') + 1));
  const off = nodes.length === 0 ? '' : `${nodes.join(' and ')} is powered off, `;
  if (sourceAlive) return `stopped, backed up and moved to ${target.node} with that backup`;
  const age = backupAt === null ? '' : `of ${formatDuration(Math.max(now - backupAt, 0))} ago `;
  const risk = retire === 'risk-accepted' ? '; the original may start when its node returns' : '';
  return `${off}the backup ${age}is restored on ${target.node}${risk}`;
}

/** A node without the others runs on; whether it answers decides what is seen of it. */
function cutOff(one: Consequence, all: readonly Consequence[]): string {
  const dead = all.find((c) => c.event === 'node-dies' && c.container === one.container);
  const silent =
    one.outcome === 'nothing' && one.decision.verdict.kind === 'healthy'
      ? 'as long as its services answer this machine: nothing. Silent: '
      : `${sentence(one, 0)}. Silent: `;
  if (dead === undefined) return `${silent}unknown`;
  if (dead.twoCopies)
    return `${silent}as if it had died, while it runs on: two copies until the link is mended (proof: offline-accepted takes that risk)`;
  if (dead.outcome === 'automatic')
    return `${silent}as if it had died; it is really powered off before the copy starts`;
  if (dead.outcome === 'by-hand' && dead.commands.some((c) => c.includes('fence confirm')))
    return `${silent}waits for you as if it had died, but it runs on: power it off before you confirm`;
  return `${silent}as if it had died`;
}

/** `columns`: Infinity where nothing is to be broken. */
export function outcomeTable(rows: readonly Outcome[], columns: number): string {
  const header = ['WHEN', 'CONTAINER', 'THEN'] as const;
  const width = (cells: readonly string[], most: number): number =>
    Math.min(Math.max(...cells.map((c) => c.length)), most);
  const first = width([header[0], ...rows.map((r) => r.event)], 24);
  const second = width([header[1], ...rows.map((r) => r.containers.join(', '))], columns < 100 ? 14 : 28);
  const rest = Math.max(columns - first - second - 4, 30);
  const lines = [line([header[0]], [header[1]], [header[2]], first, second)];
  let before = '';
  for (const row of rows) {
    const event = row.event === before ? [''] : fill(row.event, first, '');
    before = row.event;
    const then = [
      ...fill(row.text, rest, ''),
      ...row.commands.map((command) => `$ ${command}`),
      ...(row.remedy === null ? [] : hanging(`→ ${row.remedy}`, rest)),
    ];
    lines.push(line(event, fill(row.containers.join(', '), second, ''), then, first, second));
  }
  return lines.join('\n');
}

function hanging(text: string, columns: number): string[] {
  const [head = '', ...tail] = fill(text, columns, '');
  return tail.length === 0 ? [head] : [head, ...fill(tail.join(' '), columns, '  ')];
}

function line(
  one: readonly string[],
  two: readonly string[],
  three: readonly string[],
  first: number,
  second: number,
): string {
  const height = Math.max(one.length, two.length, three.length);
  return Array.from({ length: height }, (_, i) =>
    `${(one[i] ?? '').padEnd(first)}  ${(two[i] ?? '').padEnd(second)}  ${three[i] ?? ''}`.trimEnd(),
  ).join('\n');
}
