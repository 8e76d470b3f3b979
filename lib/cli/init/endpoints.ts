/** Which endpoints a new inventory lists: the given ones, and those of the nodes that the cluster names. */
import { FailedError, messageOf } from '../../errors.ts';
import { joinHostPort, parseEndpoint, parseHost } from '../../inventory/addresses.ts';
import type { DraftEndpoint } from '../../inventory/draft.ts';
import type { Tls } from '../../inventory/types.ts';
import type { ClusterNames } from '../../pve/survey.ts';
import { doubtAbout, type Trust } from './trust.ts';
import type { InitContext } from './types.ts';

const API_PORT = 8006;

export interface Endpoints {
  readonly list: readonly DraftEndpoint[];
  /** What the inventory says of their certificates. */
  readonly written: Tls;
  /** By fingerprint, whose it is. */
  readonly pinned: ReadonlyMap<string, string>;
}

/** What the trusted endpoint has told. */
export interface KnownCluster {
  readonly names: ClusterNames;
  /** SHA-256 by node. */
  readonly certificates: ReadonlyMap<string, string>;
  /** Asks a trusted endpoint which node it is; null: no answer. */
  nodeBehind(endpoint: string): Promise<string | null>;
}

/**
 * `given`: in the order of the flags, the trusted one first. The trusted node knows the certificates of its cluster, so
 * that one confirmation is enough for all: an endpoint that shows another one is left out.
 * @throws FailedError when a given endpoint can't be trusted
 */
export async function chooseEndpoints(
  given: readonly string[],
  cluster: KnownCluster,
  trust: Trust,
  context: InitContext,
): Promise<Endpoints> {
  const { names } = cluster;
  const byNode = cluster.certificates;
  const known = new Set([trust.shown.sha256, ...byNode.values()]);
  const pins = new Map([[trust.shown.sha256, trust.how]]);
  const list: DraftEndpoint[] = [];
  const covered = new Set<string>();
  for (const [index, url] of given.entries()) {
    const shown = index === 0 ? trust.shown : await trustedOrThrow(url, trust, known, context);
    const node = await cluster.nodeBehind(url);
    if (node !== null) covered.add(node);
    list.push({ url, note: node ?? '', left: false });
    addPin(pins, shown.sha256, node);
  }
  const others = names.nodes.filter(({ name }) => !covered.has(name));
  const found = await Promise.all(
    others.map(({ name, ip }) => endpointOf(name, ip, byNode.get(name), trust, known, context)),
  );
  for (const one of found) {
    if (one === null || list.some(({ url }) => url === one.endpoint.url)) continue;
    list.push(one.endpoint);
    if (one.pin !== null && !one.endpoint.left) addPin(pins, one.pin, one.node);
  }
  const written: Tls =
    trust.written.kind === 'fingerprint' ? { kind: 'fingerprint', sha256: [...pins.keys()] } : trust.written;
  return { list, written, pinned: pins };
}

function addPin(pins: Map<string, string>, sha256: string, whose: string | null): void {
  const before = pins.get(sha256);
  const parts = [...(before === undefined ? [] : [before]), ...(whose === null ? [] : [whose])];
  pins.set(sha256, [...new Set(parts)].join(', '));
}

async function trustedOrThrow(
  url: string,
  trust: Trust,
  known: ReadonlySet<string>,
  context: InitContext,
): Promise<Trust['shown']> {
  const { doubt, shown } = await doubtAbout(url, trust, known, context);
  if (doubt === null) return shown;
  throw new FailedError(`${url} is not used: ${doubt}; nothing was sent to it, nothing was written`, {
    hint: 'leave it out, or find out who answers there',
  });
}

interface Found {
  readonly node: string;
  readonly endpoint: DraftEndpoint;
  readonly pin: string | null;
}

/** The endpoint of a node that no flag names, by the address that the cluster has of it. */
async function endpointOf(
  node: string,
  ip: string | null,
  sha256: string | undefined,
  trust: Trust,
  known: ReadonlySet<string>,
  context: InitContext,
): Promise<Found | null> {
  const host = parseHost(ip ?? '');
  const url =
    host === undefined ? undefined : parseEndpoint(`https://${joinHostPort({ host, port: API_PORT })}`);
  if (url === undefined) return null;
  try {
    const { doubt, shown } = await doubtAbout(url, trust, known, context);
    const note = doubt === null ? node : `${node}: ${doubt}`;
    return { node, pin: shown.sha256, endpoint: { url, note, left: doubt !== null } };
  } catch (error) {
    if (!(error instanceof FailedError) || context.invocation.signal.aborted) throw error;
    context.tell(`${node}: ${messageOf(error)}`);
    // It may only be down: it is listed if there is something to know it by when it comes back.
    const left = trust.tls.kind === 'fingerprint' && sha256 === undefined;
    return {
      node,
      pin: sha256 ?? null,
      endpoint: { url, note: `${node}, which did not answer this machine`, left },
    };
  }
}
