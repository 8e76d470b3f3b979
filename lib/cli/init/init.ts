/** From a live cluster to an inventory file: ask or take from the flags, trust, look, propose, write. */
import { InputError, FailedError, PveError } from '../../errors.ts';
import { parseEndpoint } from '../../inventory/addresses.ts';
import {
  buildDraft,
  chooseStorage,
  clusterNameOf,
  NO_STORAGE,
  storageCandidates,
} from '../../inventory/draft-build.ts';
import { draftText, reviews } from '../../inventory/draft-text.ts';
import type { Draft, Surveyed } from '../../inventory/draft.ts';
import { isWritable } from '../../inventory/draft-names.ts';
import type { Inventory, Tls } from '../../inventory/types.ts';
import { surveyCluster } from '../../observe/survey/survey.ts';
import { createPveClient } from '../../pve/client.ts';
import type { ClusterNames } from '../../pve/survey.ts';
import { plainText } from '../../text.ts';
import { INTERRUPTED } from '../ask.ts';
import { chooseEndpoints, type Endpoints } from './endpoints.ts';
import { existingInventory, fileFor, refuseKnown, writeNew } from './target.ts';
import { keepToken, obtainToken, writeTokenFile, type Token } from './token.ts';
import { trustFirst, type Trust } from './trust.ts';
import type { InitContext, InitFlags } from './types.ts';

export interface InitResult {
  readonly draft: Draft;
  readonly text: string;
  readonly reviews: number;
  /** The inventory file. */
  readonly file: string;
  /** The token's, when one was written. */
  readonly tokenFile: string | null;
  readonly virtualMachines: number;
}

/** Everything that can't be asked for must be in the flags. Throws InputError that names all that is missing. */
function demandFlags(flags: InitFlags): void {
  const missing = [
    ...(flags.endpoint.length === 0 ? ['--endpoint https://HOST:8006'] : []),
    ...(flags.token === undefined ? ['--token env:NAME or file:PATH'] : []),
    ...(flags.fingerprint === undefined && flags.ca === undefined && !flags.systemRoots
      ? ['--fingerprint SHA256, --ca FILE or --system-roots']
      : []),
  ];
  if (missing.length > 0)
    throw new InputError(
      `there is no terminal to ask at, and these flags are missing: ${missing.join('; ')}`,
    );
}

/** Does it all; writes at the very end, or nothing. Throws ProxwardenErrors that say what is to be done. */
export async function init(context: InitContext): Promise<InitResult> {
  try {
    return await initInner(context);
  } catch (error) {
    const { signal } = context.invocation;
    if (signal.aborted && (error instanceof PveError || !(error instanceof InputError)))
      throw new FailedError(INTERRUPTED, { cause: error });
    throw error;
  }
}

async function initInner(context: InitContext): Promise<InitResult> {
  const { flags, dir, asker } = context;
  if (asker === null) demandFlags(flags);
  if (flags.cluster !== undefined && !isWritable('cluster', flags.cluster))
    throw new InputError('--cluster must be a name of letters, digits and hyphens, for example home');
  const existing = existingInventory(context);
  for (const storage of [flags.backupStorage, flags.restoreStorage])
    if (storage !== undefined && !isWritable('storage', storage))
      throw new InputError(`${plainText(storage)} is not the id of a storage`);
  if (flags.cluster !== undefined) fileFor(flags.cluster, dir, existing);
  const given = await givenEndpoints(context);
  refuseKnown(given, existing);
  const trust = await trustFirst(given[0] ?? '', context);
  const token = await obtainToken(context);
  const { names, endpoints } = await meet(given, trust, token, context);
  const cluster = flags.cluster ?? clusterNameOf(names);
  const file = fileFor(cluster, dir, existing);
  const used = endpoints.list.filter(({ left }) => !left).map(({ url }) => url);
  refuseKnown(used, existing);
  const surveyed = await look(used, endpoints, names, trust, token, context);
  const draft = await draftOf(surveyed, { cluster, endpoints, existing, token }, context);
  const text = draftText(draft.draft);
  const result = {
    draft: draft.draft,
    text,
    reviews: reviews(text),
    file,
    virtualMachines: surveyed.virtualMachines,
  };
  if (flags.dryRun) return { ...result, tokenFile: null };
  context.invocation.signal.throwIfAborted();
  const takeBack = draft.tokenFile === null ? null : writeTokenFile(draft.tokenFile);
  try {
    writeNew(file, dir, text);
  } catch (error) {
    takeBack?.();
    throw error;
  }
  return { ...result, tokenFile: draft.tokenFile?.path ?? null };
}

async function givenEndpoints({ flags, asker, tell }: InitContext): Promise<string[]> {
  const parse = (text: string): string | undefined =>
    parseEndpoint(/^[a-z]+:\/\//i.test(text) ? text : `https://${text}`);
  const given = flags.endpoint.map((text) => {
    const url = parse(text);
    if (url === undefined)
      throw new InputError(`--endpoint ${plainText(text)} is not an API endpoint: write https://HOST:8006`);
    return url;
  });
  if (given.length > 0 || asker === null) return [...new Set(given)];
  for (;;) {
    const url = parse(await asker.ask('Address of one node, for example 10.0.0.11:'));
    if (url !== undefined) return [url];
    tell('That is not an address: write a host, HOST:PORT or https://HOST:PORT.');
  }
}

function client(
  endpoints: readonly string[],
  tls: Tls,
  token: Token,
  { invocation: { runtime } }: InitContext,
) {
  const [first = ''] = endpoints;
  return createPveClient({
    cluster: new URL(first).hostname,
    endpoints,
    credentials: { kind: 'token', token: token.value },
    tls,
    timeoutMs: 10_000,
    runtime,
  });
}

/** The first words with the cluster, through the one endpoint that is trusted. */
async function meet(
  given: readonly string[],
  trust: Trust,
  token: Token,
  context: InitContext,
): Promise<{ names: ClusterNames; endpoints: Endpoints }> {
  const { signal } = context.invocation;
  const api = client(given.slice(0, 1), trust.tls, token, context);
  try {
    const names = await api.survey.names({ signal });
    if (!names.quorate) context.tell('This cluster has no quorum at the moment: what it shows may be old.');
    const certificates = await api.survey.certificates({ signal });
    const known = {
      names,
      certificates,
      nodeBehind: (url: string) => nodeBehind(url, trust, token, certificates, context),
    };
    return { names, endpoints: await chooseEndpoints(given, known, trust, context) };
  } finally {
    await api.close();
  }
}

/** Asked of endpoints whose certificate the cluster has; so it is theirs that the client pins. */
async function nodeBehind(
  url: string,
  trust: Trust,
  token: Token,
  certificates: ReadonlyMap<string, string>,
  context: InitContext,
): Promise<string | null> {
  const tls: Tls =
    trust.tls.kind === 'fingerprint'
      ? { kind: 'fingerprint', sha256: [...trust.tls.sha256, ...certificates.values()] }
      : trust.tls;
  const api = client([url], tls, token, context);
  try {
    return (await api.endpointView(url, { signal: context.invocation.signal })).node;
  } finally {
    await api.close();
  }
}

async function look(
  used: readonly string[],
  endpoints: Endpoints,
  names: ClusterNames,
  trust: Trust,
  token: Token,
  context: InitContext,
): Promise<Surveyed> {
  const { flags, invocation, tell } = context;
  const tls = trust.tls.kind === 'fingerprint' ? endpoints.written : trust.tls;
  const api = client(used, tls, token, context);
  try {
    return await surveyCluster(names, {
      api,
      runtime: invocation.runtime,
      signal: invocation.signal,
      ports: flags.skipPorts ? null : flags.ports,
      progress: tell,
    });
  } finally {
    await api.close();
  }
}

async function draftOf(
  surveyed: Surveyed,
  about: { cluster: string; endpoints: Endpoints; existing: Inventory | null; token: Token },
  context: InitContext,
): Promise<{ draft: Draft; tokenFile: { path: string; value: string } | null }> {
  const { cluster, endpoints, existing, token } = about;
  const { flags, invocation, tell } = context;
  const backup = await storageFor('backup', surveyed, flags.backupStorage, context);
  const restore = await storageFor('rootdir', surveyed, flags.restoreStorage, context);
  const kept = await keepToken(token, cluster, context);
  for (const problem of surveyed.problems) tell(`not read: ${problem}`);
  const draft = buildDraft(surveyed, {
    cluster,
    date: new Date(invocation.runtime.clock.now()).toISOString().slice(0, 10),
    endpoints: endpoints.list,
    token: kept.ref,
    tls: endpoints.written,
    pinned: endpoints.pinned,
    backupStorage: backup,
    restoreStorage: restore,
    taken: Object.keys(existing?.containers ?? {}),
  });
  return { draft, tokenFile: kept.file };
}

/** The storage of a flag, of a person's choice among several, or the best one. */
async function storageFor(
  content: 'backup' | 'rootdir',
  surveyed: Surveyed,
  flag: string | undefined,
  { asker, tell }: InitContext,
): Promise<Draft['backupStorage']> {
  const proposed = chooseStorage(surveyed, content, flag);
  const candidates = storageCandidates(surveyed, content).map(({ storage }) => storage);
  if (flag !== undefined || asker === null || candidates.length < 2) {
    if (proposed.storage === NO_STORAGE) tell(proposed.review ?? '');
    return proposed;
  }
  const what = content === 'backup' ? 'Storage of the backups' : "Storage for the copies' disks";
  for (;;) {
    const answer = await asker.ask(`${what} (${candidates.join(', ')})`, proposed.storage);
    if (candidates.includes(answer)) return chooseStorage(surveyed, content, answer);
    tell(`There is no such storage: ${candidates.join(', ')}.`);
  }
}
