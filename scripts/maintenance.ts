import { endOf } from '../lib/cli/moment.ts';
import { defineCommand, type Invocation } from '../lib/cli/command.ts';
import { commonFlags } from '../lib/cli/options.ts';
import { personName } from '../lib/cli/person.ts';
import { recordEvents } from '../lib/cli/record.ts';
import { show, warn } from '../lib/cli/say.ts';
import { containerNamed, openInventory, stateDir, type CommonArgs } from '../lib/cli/session.ts';
import { joined, offlineFor, placeOf } from '../lib/decide/brake-begin.ts';
import { endMaintenance } from '../lib/decide/brakes.ts';
import { BlockedError, EXIT, InputError } from '../lib/errors.ts';
import type { Brake, State } from '../lib/state/model.ts';
import { lastObservation } from '../lib/state/observation.ts';
import { openOperations } from '../lib/state/operations.ts';
import { openState } from '../lib/state/store.ts';
import {
  inHandLine,
  inHandOf,
  maintenanceLine,
  maintenanceRows,
  maintenanceTable,
} from '../lib/tell/brakes.ts';
import { formatDuration } from '../lib/units.ts';

const ACTIONS = ['begin', 'list', 'end'];

export const maintenance = defineCommand({
  usage: 'maintenance [action] [names..]',
  describe: 'leave containers or nodes alone for a while; list, end',
  flags: (y) =>
    commonFlags(y)
      .positional('action', {
        type: 'string',
        default: '',
        describe: `${ACTIONS.join(', ')}; without one the words are names, and it begins`,
      })
      .positional('names', { type: 'string', array: true, default: [] as string[], describe: 'containers' })
      .option('node', { type: 'string', requiresArg: true, describe: 'a node, or CLUSTER/NODE' })
      .option('for', { type: 'string', requiresArg: true, describe: 'it ends by itself after this time, 2h' })
      .option('until', {
        type: 'string',
        requiresArg: true,
        describe: 'it ends by itself then: 06:00, 2026-12-01T06:00',
      })
      .option('reason', { type: 'string', requiresArg: true, default: '', describe: 'for the others' })
      .example(
        '$0 maintenance db --for 2h --reason "new disk"',
        'db may be down: it is watched, and left alone',
      )
      .example('$0 maintenance --node pve1 --until 06:00', 'pve1 is rebooted, opened, updated')
      .example('$0 maintenance end db', 'its counts begin anew')
      .epilogue(
        [
          "A container in maintenance is probed and shown, its failures don't count, and nothing is done with it by itself. The same holds for the containers on a node in maintenance; nothing is restored there, and it is neither powered off nor rebooted.",
          "Proxmox VE's own maintenance mode of a node (ha-manager crm-command node-maintenance enable NODE) counts as well, without an end.",
          'What you ask for by name (failover NAME --planned) is done. A superseded original is still kept down.',
        ].join('\n\n'),
      ),
  async run(args, invocation) {
    const isAction = ACTIONS.includes(args.action);
    const names = isAction || args.action === '' ? args.names : [args.action, ...args.names];
    const work = await open(args, invocation);
    const nothing = names.length === 0 && args.node === undefined;
    if (args.action === 'list' || (args.action === '' && nothing)) {
      if (!nothing) throw new InputError('`maintenance list` takes no names');
      return list(work);
    }
    const keys = keysOf(work, names, args.node);
    return args.action === 'end' ? end(work, keys) : begin(work, keys, args);
  },
});

async function open(args: CommonArgs, invocation: Invocation) {
  const { clock } = invocation.runtime;
  const inventory = await openInventory(args, invocation);
  const store = openState(stateDir(args, invocation), { clock });
  return {
    args,
    inventory,
    store,
    clock,
    now: clock.now(),
    io: invocation.io,
    person: personName(invocation.runtime.env),
  };
}
type Work = Awaited<ReturnType<typeof open>>;

/** Containers by name, nodes by `cluster/node`. */
function keysOf({ inventory, store }: Work, names: readonly string[], node: string | undefined): string[] {
  const keys = names.map((name) => containerNamed(inventory, name).name);
  if (node !== undefined) keys.push(placeOf(inventory, store.read(), node));
  if (keys.length === 0) throw new InputError('what? name containers, or --node NODE');
  return keys;
}

async function begin(
  work: Work,
  keys: readonly string[],
  args: Parameters<typeof endOf>[0] & { reason: string },
) {
  const { store, now, io, clock, person } = work;
  const until = endOf(args, now);
  if (until === null)
    throw new InputError('a maintenance has an end: --for 2h, or --until 06:00', {
      hint: 'what is to be left alone for good gets mode: observe in the inventory',
    });
  const before = store.read();
  for (const key of keys) refuseOffline(before, key, now);
  const added: Brake = { since: now, until, by: person, reason: args.reason };
  const state = await store.update((s) => {
    for (const key of keys) s.maintenance[key] = joined(s.maintenance[key], added);
  });
  const lines = keys.map((key) => ({
    key,
    text: maintenanceLine(key, state.maintenance[key] ?? added, now),
  }));
  recordEvents(
    store.local,
    lines.map(({ key, text }) => ({
      at: now,
      kind: 'brake',
      container: key.includes('/') ? null : key,
      text,
    })),
    (why) => warn(io, [why]),
  );
  const inHand = inHandOf(openOperations(store.dir, { clock }).list().operations).filter(({ container }) => {
    const at = state.containers[container]?.current;
    return keys.includes(container) || (at != null && keys.includes(`${at.cluster}/${at.node}`));
  });
  if (work.args.json) io.out(JSON.stringify({ maintenance: pick(state, keys), inHand }, null, 2));
  else for (const line of [...lines.map(({ text }) => text), ...inHand.map(inHandLine)]) show(io, line);
  return EXIT.ok;
}

function pick({ maintenance: all }: State, keys: readonly string[]): Record<string, Brake> {
  return Object.fromEntries(Object.entries(all).filter(([key]) => keys.includes(key)));
}

/** Proxmox VE refuses it as well: a node that is down already would take its containers' protection along. */
function refuseOffline(state: State, key: string, now: number): void {
  const silent = key.includes('/') ? offlineFor(state, key, now) : null;
  if (silent === null || state.maintenance[key] !== undefined) return;
  throw new BlockedError(
    `node ${key} is offline (last seen online ${silent === now ? 'never' : `${formatDuration(silent)} ago`}): its containers would stay down unprotected`,
    { hint: 'to leave them alone all the same, name them: `proxwarden maintenance NAME… --for 2h`' },
  );
}

async function end({ store, now, io, args, person }: Work, keys: readonly string[]) {
  const ended: string[] = [];
  await store.update((s) => {
    for (const key of keys) {
      if (s.maintenance[key] === undefined) continue;
      endMaintenance(s, key);
      ended.push(key);
    }
  });
  recordEvents(
    store.local,
    ended.map((key) => ({
      at: now,
      kind: 'brake',
      container: key.includes('/') ? null : key,
      text: `${person} ends its maintenance`,
    })),
    (why) => warn(io, [why]),
  );
  if (args.json) io.out(JSON.stringify({ ended }, null, 2));
  else
    for (const key of keys)
      show(io, ended.includes(key) ? `${key}: its maintenance has ended` : `${key} was not in maintenance`);
  return EXIT.ok;
}

function list({ store, now, io, args }: Work) {
  const rows = maintenanceRows(store.read(), lastObservation(store.local, now));
  if (args.json) io.out(JSON.stringify(rows, null, 2));
  else if (rows.length === 0) show(io, 'nothing is in maintenance');
  else io.out(maintenanceTable(rows, now, io.columns));
  return EXIT.ok;
}
