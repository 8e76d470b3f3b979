/** Opens what a command works with: inventory, state, API clients, and the teller. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { InputError } from '../errors.ts';
import { openToAll } from '../inventory/files.ts';
import { openRemembered, type Opened } from '../inventory/memo.ts';
import { closest } from '../inventory/problems.ts';
import { readSecret } from '../inventory/secrets.ts';
import type { Cluster, Container, Inventory, SecretRef } from '../inventory/types.ts';
import type { ActContext } from '../act/context.ts';
import { Turns } from '../act/turns.ts';
import type { PveApi } from '../pve/api.ts';
import type { PveCredentials } from '../pve/login.ts';
import { openOperations } from '../state/operations.ts';
import { placeOf } from '../state/place.ts';
import { openState } from '../state/store.ts';
import { formatEvent } from '../tell/format.ts';
import { isTransition, type Event, type Teller } from '../tell/events.ts';
import { createNotifier, type Notifier } from '../tell/notify/notifier.ts';
import { noticeOf } from '../tell/notify/notices.ts';
import { createTeller } from '../tell/teller.ts';
import { openOutbox } from '../state/outbox.ts';
import type { Invocation } from './command.ts';
import type { LogLevel } from './options.ts';
import { recordEvents } from './record.ts';
import { warn } from './say.ts';
import { plainText } from '../text.ts';

export interface CommonArgs {
  readonly inventory?: string | undefined;
  readonly state?: string | undefined;
  readonly json: boolean;
  readonly logLevel: LogLevel;
  readonly dryRun?: boolean | undefined;
}

/** The folder of the inventory that these flags and environment name. */
export function inventoryDir(args: Pick<CommonArgs, 'inventory'>, { runtime, cwd }: Invocation): string {
  return resolve(cwd, args.inventory ?? runtime.env['PROXWARDEN_INVENTORY'] ?? 'inventory');
}

/** The folder of the state that these flags and environment name. */
export function stateDir(args: CommonArgs, invocation: Invocation): string {
  const { runtime, cwd } = invocation;
  const named = args.state ?? runtime.env['PROXWARDEN_STATE'];
  if (named !== undefined) return resolve(cwd, named);
  // The lab's inventory keeps its state beside it, so that playing never mixes with a real one.
  const lab = join(inventoryDir(args, invocation), '.lab');
  return existsSync(lab) ? join(lab, 'state') : resolve(cwd, 'state');
}

/** Put in by the bundler; the sources that Node runs directly have none. */
declare const PROXWARDEN_BUILD: string | undefined;
const BUILD = typeof PROXWARDEN_BUILD === 'string' ? PROXWARDEN_BUILD : null;

/** Loads the inventory, or takes what the last run has made of it. Rejects with InventoryError. */
export async function openInventory(args: CommonArgs, invocation: Invocation): Promise<Inventory> {
  return (await openKept(args, invocation)).inventory;
}

function openKept(args: CommonArgs, invocation: Invocation): Promise<Opened> {
  return openRemembered(inventoryDir(args, invocation), {
    env: invocation.runtime.env,
    file: join(placeOf(stateDir(args, invocation)).local, 'inventory.json'),
    build: BUILD,
  });
}

/** From here on memory matters more than a moment. */
const LARGE_FLEET = 2_000;
/** V8 lets the heap grow to four times what is in use before it clears up; to a third more costs the same time. */
const SPARING = '--heap-growing-percent=30';

export interface Session extends ActContext {
  readonly args: CommonArgs;
  readonly invocation: Invocation;
  /** Whom the inventory wants to be told. */
  readonly notifier: Notifier;
  close(): Promise<void>;
}

/**
 * Everything, for commands that talk to clusters. Throws InputError for a bad inventory or an unreadable token; `lenient`:
 * without any token, too, it is opened, and every cluster refuses it.
 */
export async function openSession(
  args: CommonArgs,
  invocation: Invocation,
  options: { steps?: boolean; lenient?: boolean } = {},
): Promise<Session> {
  const { runtime, io, signal } = invocation;
  const { inventory, keep } = await openKept(args, invocation);
  if (Object.keys(inventory.containers).length >= LARGE_FLEET) setFlagsFromString(SPARING);
  // Not in openInventory: a checkout that is only validated may be anybody's.
  const open = openToAll(inventory.dir);
  if (open !== null)
    throw new InputError(
      `every user of this machine can write ${open.path}, and so say what is run here and where the token goes`,
      { hint: open.fix },
    );
  const dir = stateDir(args, invocation);
  const state = openState(dir, { clock: runtime.clock });
  state.assertFit();
  state.read();
  // Cron's run, that is: no other command leaves more behind than it is about.
  if (options.steps === true && args.dryRun !== true) keep();
  const operations = openOperations(dir, { clock: runtime.clock, ...runtime.runner });
  const screen = createTeller({
    io,
    clock: runtime.clock,
    level: args.logLevel,
    json: args.json,
    steps: options.steps ?? false,
  });
  const notifier = createNotifier({
    targets: args.dryRun === true ? [] : inventory.notify.to,
    outbox: openOutbox(state.dir, { clock: runtime.clock }),
    runtime,
  });
  let warned = false;
  const unrecorded = (text: string): void => {
    if (!warned) screen.tell({ kind: 'note', level: 'warn', container: null, text });
    warned = true;
  };
  const teller: Teller = {
    tell(event: Event) {
      if (isTransition(event)) {
        const text = formatEvent(event) ?? '';
        const record = { at: runtime.clock.now(), kind: event.kind, container: containerOf(event), text };
        recordEvents(state.local, [record], unrecorded);
      }
      screen.tell(event);
      const notice = noticeOf(event, runtime.clock.now());
      if (notice !== null) notifier.add([notice]);
      // A restore may take hours: that it has begun is told now.
      if (event.kind === 'operation-started') void notifier.flush(signal);
    },
    end: () => screen.end(),
  };
  const apis = await connect(inventory, invocation, options.lenient ?? false);
  for (const text of inventory.warnings) teller.tell({ kind: 'note', level: 'warn', container: null, text });
  return {
    args,
    invocation,
    runtime,
    inventory,
    state,
    operations,
    apis,
    teller,
    turns: new Turns(),
    signal,
    notifier,
    async close() {
      await teller.end();
      await notifier.flush(signal);
      warn(io, notifier.failures());
      await Promise.all([...apis.values()].map((api) => api.close()));
    },
  };
}

/**
 * One API client per cluster. One whose credentials can't be read must not hold up the others: it fails as one that
 * refuses them would. Throws InputError when there is no other.
 */
async function connect(
  inventory: Inventory,
  invocation: Invocation,
  lenient: boolean,
): Promise<Map<string, PveApi>> {
  const { createPveClient } = await import('../pve/client.ts');
  const apis = new Map<string, PveApi>();
  const unreadable: { readonly cluster: Cluster; readonly why: InputError }[] = [];
  for (const cluster of Object.values(inventory.clusters)) {
    try {
      apis.set(cluster.name, (await connectTo(cluster, invocation)).api);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      unreadable.push({ cluster, why: error });
    }
  }
  if (apis.size === 0 && unreadable[0] !== undefined && !lenient) throw unreadable[0].why;
  const { runtime } = invocation;
  for (const { cluster, why } of unreadable) {
    const { name, endpoints, tls, timeoutMs } = cluster;
    const credentials = { kind: 'none', why } as const;
    apis.set(name, createPveClient({ cluster: name, endpoints, credentials, tls, timeoutMs, runtime }));
  }
  return apis;
}

/**
 * A client with the cluster's own credentials, read now and registered to be redacted everywhere. `tokenId`: who it is,
 * `proxwarden@pve!cli`, or without a token's name the user. Throws InputError.
 */
export async function connectTo(
  cluster: Cluster,
  { runtime }: Invocation,
): Promise<{ readonly api: PveApi; readonly tokenId: string }> {
  const { createPveClient } = await import('../pve/client.ts');
  const { identityOf } = await import('../pve/login.ts');
  const { name, endpoints, tls, timeoutMs } = cluster;
  const read = (ref: SecretRef): string => readSecret(ref, runtime.env);
  const credentials: PveCredentials =
    cluster.credentials.kind === 'token'
      ? { kind: 'token', token: read(cluster.credentials.token) }
      : { ...cluster.credentials, password: read(cluster.credentials.password) };
  return {
    tokenId: identityOf(name, credentials),
    api: createPveClient({ cluster: name, endpoints, credentials, tls, timeoutMs, runtime }),
  };
}

function containerOf(event: Event): string | null {
  if (event.kind === 'decision') return event.decision.container;
  return event.container;
}

/** The containers that names and --cluster leave. Throws InputError for a name that is not in the inventory. */
export function narrow(
  inventory: Inventory,
  names: readonly string[],
  cluster: string | undefined,
): Set<string> | undefined {
  for (const name of names) containerNamed(inventory, name);
  if (cluster !== undefined && !Object.hasOwn(inventory.clusters, cluster))
    throw new InputError(
      `there is no cluster ${cluster} in the inventory (${Object.keys(inventory.clusters).join(', ')})`,
    );
  if (names.length === 0 && cluster === undefined) return undefined;
  const all = Object.values(inventory.containers).filter(
    (c) => cluster === undefined || c.cluster === cluster,
  );
  return new Set(all.filter((c) => names.length === 0 || names.includes(c.name)).map((c) => c.name));
}

/** The container of that name. Throws InputError with the names that there are. */
export function containerNamed(inventory: Inventory, name: string): Container {
  const container = Object.hasOwn(inventory.containers, name) ? inventory.containers[name] : undefined;
  if (container === undefined) {
    const names = Object.keys(inventory.containers);
    const meant = closest(name, names);
    throw new InputError(
      `there is no container ${plainText(name, 80)} in the inventory (${names.join(', ') || 'it has none'})`,
      meant === undefined ? {} : { hint: `did you mean ${meant}?` },
    );
  }
  return container;
}
