/** A person's word that a node is off. Before it is written down, the world is asked whether it can be that node. */
import { BlockedError, InputError, messageOf, PveError } from '../../errors.ts';
import type { Inventory } from '../../inventory/types.ts';
import { formatDuration } from '../../units.ts';
import type { ActContext } from '../context.ts';
import { fenceDrivers, readPower } from './driver.ts';

export interface Place {
  readonly cluster: string;
  readonly node: string;
}

export interface Word extends Place {
  readonly at: number;
  readonly by: string;
  readonly validUntil: number;
  /** What could not be asked. */
  readonly notes: readonly string[];
}

export type WordContext = Pick<ActContext, 'inventory' | 'runtime' | 'state' | 'apis' | 'signal'>;

/** The node of that name. Throws InputError when there is none, or when several clusters have one. */
export function nodeNamed(inventory: Inventory, named: string): Place {
  const found = Object.values(inventory.clusters).flatMap((cluster) =>
    Object.keys(cluster.nodes)
      .filter((node) => named === node || named === `${cluster.name}/${node}`)
      .map((node): Place => ({ cluster: cluster.name, node })),
  );
  const [only, second] = found;
  if (only === undefined) {
    const names = Object.values(inventory.clusters).flatMap((cluster) => Object.keys(cluster.nodes));
    throw new InputError(
      `there is no node ${named} under nodes: in the inventory (${names.join(', ') || 'it has none'})`,
    );
  }
  if (second !== undefined)
    throw new InputError(`${named} is a node of several clusters: name it CLUSTER/${named}`);
  return only;
}

/**
 * Writes the word of `by` down. `despitePower`: a plug or BMC that says "on" is wrong. Throws InputError where the
 * inventory takes no such word, and BlockedError when the node answers, or a fence of it says that it is on.
 */
export async function takeWord(
  context: WordContext,
  place: Place,
  { by, despitePower }: { readonly by: string; readonly despitePower: boolean },
): Promise<Word> {
  const { inventory, runtime, state } = context;
  const { cluster, node } = place;
  const fences = inventory.clusters[cluster]?.nodes[node]?.fence ?? [];
  const manual = fences.find((f) => f.driver === 'manual');
  if (manual?.driver !== 'manual')
    throw new InputError(
      `the inventory does not take a person's word for ${node}: add \`- manual\` to its fence`,
    );
  const notes = await mustBeSilent(context, place);
  if (!despitePower) await mustNotBeOn(context, place);
  const at = runtime.clock.now();
  await state.update((s) => void (s.fenceConfirmed[`${cluster}/${node}`] = { at, by }));
  return { cluster, node, at, by, validUntil: at + manual.validMs, notes };
}

/** A slip in the name: that node answers. Returns what could not be asked. */
async function mustBeSilent({ apis, signal }: WordContext, { cluster, node }: Place): Promise<string[]> {
  const api = apis.get(cluster);
  if (api === undefined) return [`whether ${node} answers could not be asked`];
  const views = await Promise.all(api.endpoints.map((endpoint) => api.endpointView(endpoint, { signal })));
  const own = views.find((view) => view.ok && view.node === node);
  if (own !== undefined) throw alive({ cluster, node }, `its API answers at ${own.endpoint}`);
  const quorate = views.find((view) => view.ok && view.quorate);
  if (quorate === undefined)
    return [`whether ${node} answers could not be asked: no quorate node of ${cluster} does`];
  api.useEndpoint(quorate.endpoint);
  let answers: boolean;
  try {
    answers = await api.nodeAnswers(node, { signal });
  } catch (error) {
    if (!(error instanceof PveError) || signal?.aborted === true) throw error;
    return [`whether ${node} answers could not be asked: ${messageOf(error)}`];
  }
  if (answers) throw alive({ cluster, node }, `its API answers through ${quorate.endpoint}`);
  return quorate.online.includes(node)
    ? [`${cluster} still lists ${node} as online: your word counts once it does not, within ten seconds`]
    : [];
}

function alive({ cluster, node }: Place, sign: string): BlockedError {
  return new BlockedError(`${cluster}/${node} is not off: ${sign}`, {
    hint: 'is it another node that is dead? `proxwarden check` shows what is seen of them',
  });
}

async function mustNotBeOn(
  { inventory, runtime, signal }: WordContext,
  { cluster, node }: Place,
): Promise<void> {
  const configs = inventory.clusters[cluster]?.nodes[node]?.fence ?? [];
  const reads = await Promise.all(
    fenceDrivers(configs, runtime).map(async (driver) => ({
      name: driver.name,
      ...(await readPower(driver, runtime.clock, signal)),
    })),
  );
  const on = reads.find((read) => read.power === 'on');
  if (on === undefined) return;
  throw new BlockedError(`${cluster}/${node} has power: its ${on.name} fence says on (${on.detail})`, {
    hint: `switch it off first: \`proxwarden fence off ${node} --yes ${node}\`; if you have seen that it is off all the same, repeat with --despite-power`,
  });
}

/** `noted: …`, for people. */
export function wordText({ by, node, at, validUntil, notes }: Word): string {
  return [
    `noted: ${by} says that ${node} is off; it holds for ${formatDuration(validUntil - at)}, and only while ${node} is silent`,
    ...notes.map((note) => `note: ${note}`),
  ].join('\n');
}
