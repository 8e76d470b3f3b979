/** What would happen, in a table for people. Pure. */
import type { Consequence } from '../decide/doctor/consequences.ts';
import type { FailoverAction } from '../decide/model.ts';
import { placeOf } from '../decide/reach.ts';
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
  const all = [...new Set(consequences.map((one) => one.container))];
  const groups = new Map<
    string,
    { readonly row: Omit<Outcome, 'event' | 'containers'>; readonly ones: Consequence[] }
  >();
  for (const one of consequences) {
    const cut = one.event === 'node-cut-off';
    const row = {
      text: cut ? cutOff(one, consequences) : sentence(one, now),
      // What is to be typed then is what is typed when the node has died.
      commands: cut ? [] : one.commands,
      remedy: cut || one.outcome !== 'blocked' ? null : remedy(one),
    };
    // What is said of a dead node names it, so nodes stay apart there.
    const key = JSON.stringify([one.event, one.event === 'node-dies' ? one.node : '', row]);
    const known = groups.get(key) ?? { row, ones: [] };
    known.ones.push(one);
    groups.set(key, known);
  }
  const nodes = new Set(consequences.map((one) => one.node)).size;
  return [...groups.values()].map(({ row, ones }) => {
    const containers = [...new Set(ones.map((one) => one.container))];
    return {
      ...row,
      event: eventText(ones, nodes),
      containers: containers.length === all.length && all.length > 3 ? ['all'] : containers,
    };
  });
}

function eventText(ones: readonly Consequence[], all: number): string {
  const nodes = [...new Set(ones.map((one) => one.node))];
  const node = nodes.length > 1 && nodes.length === all ? 'a node' : nodes.join(' or ');
  switch (ones[0]?.event) {
    case undefined:
      return '';
    case 'node-dies':
      return `${node} dies`;
    case 'service-dies':
      return 'a service dies';
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
      return `${first}waits for you, because ${reason(one)}; ${one.commands.some((c) => c.includes('fence confirm')) ? 'see that it is off and say so' : 'say so'}, then ${actionText(one.action, now)}`;
    case 'blocked':
      return `${first}blocked: ${reason(one)}`;
    case 'nothing':
      // `tcp …: no answer, but no quorate view …`: what keeps it from acting is the same for all.
      return `nothing is done: ${one.decision.why.split(', but ').at(-1) ?? ''}`;
  }
}

/** The evidence of the gate in the way; a proof's is long, and comes down to one thing. */
function reason(one: Consequence): string {
  const { stuck, node } = one;
  if (stuck === null) return 'nothing can be done';
  if (isLastOne(one))
    return `without ${node} the rest has no quorum, and without quorum nothing can be restored`;
  return stuck.gate === 'proof' ? `nothing proves ${node} off` : stuck.evidence;
}

/** What dies leaves nobody who could act. */
function isLastOne({ stuck, event }: Consequence): boolean {
  return event === 'node-dies' && stuck?.gate === 'quorum';
}

function remedy(one: Consequence): string | null {
  // A person's word counts only where the inventory takes it.
  if (one.stuck?.gate === 'proof')
    return `give ${one.node} a fence in the inventory: a smart plug, or \`manual\`, your word`;
  if (!isLastOne(one)) return one.stuck?.flip ?? null;
  return `bring ${one.node} back; a QDevice, set up before, keeps the quorum`;
}

function actionText(action: FailoverAction | null, now: number): string {
  if (action === null) return 'nothing';
  const { from, target, fence, sourceAlive, backupAt, retire } = action;
  const nodes = fence.map((key) => key.slice(key.indexOf('/') + 1));
  const off = nodes.length === 0 ? '' : `${nodes.join(' and ')} is powered off, `;
  if (sourceAlive) return `stopped, backed up and moved to ${placeOf(target, from.cluster)} with that backup`;
  const age = backupAt === null ? '' : `of ${formatDuration(Math.max(now - backupAt, 0))} ago `;
  const risk =
    retire === 'risk-accepted' || retire === 'risk-and-guard'
      ? '; the original may start when its node returns'
      : '';
  return `${off}the backup ${age}is restored on ${placeOf(target, from.cluster)}${risk}`;
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
  const first = width([header[0], ...rows.map((r) => r.event)], columns < 100 ? 14 : 24);
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
