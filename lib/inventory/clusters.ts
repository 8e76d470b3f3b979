/** Puts the files together into clusters: exactly one file of each defines how it is reached. */
import { isAbsolute } from 'node:path';
import { closest, type Path } from './problems.ts';
import { isBroken, type Part } from './parts.ts';
import type { Finder } from './programs.ts';
import { whereIs, type Report } from './report.ts';
import type {
  Cluster,
  Credentials,
  FenceConfig,
  NodeConfig,
  ProbeSpec,
  SecretRef,
  SwitchConfig,
  Tls,
} from './types.ts';

export interface Context {
  readonly finder: Finder;
  readonly report: Report;
  /** Some file couldn't be read: what seems to be missing may be in there. */
  readonly incomplete: boolean;
}

export interface Clusters {
  /** Those with a usable api. */
  readonly byName: Readonly<Record<string, Cluster>>;
  /** By cluster, the file with its `api` (usable or not); that file's defaults are the cluster's. */
  readonly mains: ReadonlyMap<string, Part>;
}

/** The clusters of all files. What is wrong with them is reported. */
export function resolveClusters(parts: readonly Part[], context: Context): Clusters {
  const { report } = context;
  const mains = findMains(parts, report);
  const byName: Record<string, Cluster> = {};
  const endpoints = new Map<string, string>();
  for (const part of parts) {
    const name = part.input.cluster;
    if (name === undefined) {
      reportNoCluster(part, report);
      continue;
    }
    const main = mains.get(name);
    if (main === part) {
      const cluster = resolveCluster(name, part, context, endpoints);
      if (cluster !== undefined) byName[name] = cluster;
    } else if (main === undefined) {
      reportNoApi(name, part, [...mains.keys()], context);
    } else {
      for (const key of ['canaries', 'nodes', 'shell', 'orphans'] as const) {
        if (part.data[key] === undefined) continue;
        report.add(
          part,
          [key],
          `belongs to the file that defines api of ${name}`,
          `move it to ${main.file}`,
          true,
        );
      }
    }
  }
  return { byName, mains };
}

function findMains(parts: readonly Part[], report: Report): Map<string, Part> {
  const mains = new Map<string, Part>();
  for (const part of parts) {
    const name = part.input.cluster;
    if (name === undefined || part.data['api'] === undefined) continue;
    const first = mains.get(name);
    if (first === undefined) mains.set(name, part);
    else
      report.add(
        part,
        ['api'],
        `of ${name} is already defined in ${whereIs(first, ['api'])}`,
        'keep one of them',
        true,
      );
  }
  return mains;
}

function reportNoCluster(part: Part, report: Report): void {
  const needing = ['api', 'canaries', 'nodes', 'shell', 'orphans', 'defaults', 'containers'].filter(
    (key) => part.data[key] !== undefined,
  );
  if (needing.length > 0)
    report.missing(part, ['cluster'], `add cluster: NAME (there are ${needing.join(', ')} in this file)`);
}

function reportNoApi(name: string, part: Part, known: readonly string[], context: Context): void {
  if (context.incomplete || isBroken(part, ['api'])) return;
  const meant = closest(name, known);
  context.report.add(
    part,
    ['cluster'],
    `no file defines api for the cluster ${name}`,
    meant === undefined
      ? 'add api: with endpoints and token (or user and password) to one of its files'
      : `did you mean ${meant}? else add api:`,
  );
}

function resolveCluster(
  name: string,
  part: Part,
  context: Context,
  endpoints: Map<string, string>,
): Cluster | undefined {
  const { report } = context;
  const { api, canaries = [], nodes = {}, shell, orphans } = part.input;
  if (api === undefined) return undefined;
  for (const [index, endpoint] of api.endpoints.entries()) {
    const path = ['api', 'endpoints', index];
    const first = endpoints.get(endpoint);
    if (first === undefined) endpoints.set(endpoint, whereIs(part, path));
    else report.add(part, path, `is already given in ${first}`, 'give each endpoint once');
  }
  const stops: Path[] = [
    ...(orphans === 'stop' ? [['orphans']] : []),
    ...Object.keys(nodes).flatMap((node) =>
      nodes[node]?.orphans === 'stop' ? [['nodes', node, 'orphans']] : [],
    ),
  ];
  if (shell === undefined)
    for (const path of stops)
      report.add(
        part,
        path,
        `needs a root shell on the nodes of ${name}`,
        'add shell: { ssh: { … } } (or shell: local) beside api',
      );
  const credentials = resolveCredentials(part, context);
  if (credentials === undefined) return undefined;
  return {
    name,
    file: part.file,
    endpoints: api.endpoints,
    credentials,
    tls: resolveTls(
      `the API of cluster ${name}`,
      api.tls ?? { kind: 'system' },
      part,
      ['api', 'tls'],
      context,
    ),
    timeoutMs: api.timeout ?? 10_000,
    canaries: resolvePrograms(canaries, part, ['canaries'], context),
    nodes: Object.fromEntries(
      Object.entries(nodes).map(([node, given]): [string, NodeConfig] => [
        node,
        {
          fence: resolveFences(given?.fence ?? [], part, ['nodes', node, 'fence'], context),
          ...(given?.orphans === undefined ? {} : { orphans: given.orphans }),
        },
      ]),
    ),
    shell: shell ?? null,
    ...(orphans === undefined ? {} : { orphans }),
  };
}

/** A token, or a user with a password: exactly one of the two. */
function resolveCredentials(part: Part, context: Context): Credentials | undefined {
  const { report } = context;
  const { token, user, password } = part.input.api ?? {};
  const at = (key: string): Path => ['api', key];
  if (token !== undefined) {
    const [second] = [
      ...(user === undefined ? [] : ['user']),
      ...(password === undefined ? [] : ['password']),
    ];
    if (second !== undefined)
      report.add(part, at(second), 'stands beside api.token', 'keep the token, or user and password', true);
    return { kind: 'token', token: resolveSecret(token, part, at('token'), context) };
  }
  if (user !== undefined && password !== undefined)
    return { kind: 'password', user, password: resolveSecret(password, part, at('password'), context) };
  const missing = (key: string, fix: string, ...others: readonly string[]): void =>
    report.missing(
      part,
      at(key),
      fix,
      others.map((other) => [part, at(other)]),
    );
  if (user !== undefined) missing('password', 'add password: env:NAME or file:PATH', 'token');
  else if (password !== undefined) missing('user', 'add user: USER@REALM', 'token');
  else missing('token', 'add token: env:NAME or file:PATH (or user and password)', 'user', 'password');
  return undefined;
}

/** A relative path of a secret is one inside the inventory folder. */
export function resolveSecret(ref: SecretRef, part: Part, path: Path, context: Context): SecretRef {
  if (ref.kind !== 'file' || isAbsolute(ref.path)) return ref;
  const found = context.finder.place(ref.path);
  if ('path' in found) return { kind: 'file', path: found.path };
  context.report.add(part, path, found.message, found.fix);
  return ref;
}

function resolveFences(
  fences: readonly FenceConfig[],
  part: Part,
  path: Path,
  context: Context,
): FenceConfig[] {
  return fences.map((fence, index): FenceConfig => {
    const here = [...path, index];
    switch (fence.driver) {
      case 'all':
        return {
          ...fence,
          of: fence.of.map((one, nth) => resolveSwitch(one, part, [...here, 'all', nth], context)),
        };
      case 'http':
      case 'agent':
      case 'redfish':
        return resolveSwitch(fence, part, here, context);
      case 'ha-watchdog':
      case 'pve':
      case 'ssh':
      case 'manual':
        return fence;
    }
  });
}

function resolveSwitch(fence: SwitchConfig, part: Part, path: Path, context: Context): SwitchConfig {
  const secret = (ref: SecretRef, ...below: string[]): SecretRef =>
    resolveSecret(ref, part, [...path, ...below], context);
  switch (fence.driver) {
    case 'http':
      return fence.password === undefined
        ? fence
        : { ...fence, password: secret(fence.password, fence.device ?? 'http', 'password') };
    case 'redfish':
      return {
        ...fence,
        password: secret(fence.password, 'redfish', 'password'),
        tls: resolveTls(`the controller ${fence.url}`, fence.tls, part, [...path, 'redfish', 'tls'], context),
      };
    case 'agent':
      return {
        ...fence,
        secrets: Object.fromEntries(
          Object.entries(fence.secrets).map(([name, ref]) => [
            name,
            name === 'password' ? secret(ref, 'agent', name) : secret(ref, 'agent', 'secrets', name),
          ]),
        ),
      };
  }
}

/** `what`: whose certificate it is. */
function resolveTls(what: string, tls: Tls, part: Part, path: Path, context: Context): Tls {
  if (tls.kind === 'insecure') {
    context.report.warn(
      `${what}: its certificate is not checked (tls.insecure), so anyone in between can take the secret; use tls.fingerprint`,
    );
  }
  if (tls.kind !== 'ca' || isAbsolute(tls.path)) return tls;
  const found = context.finder.place(tls.path);
  if ('path' in found) return { kind: 'ca', path: found.path };
  context.report.add(part, [...path, 'ca'], found.message, found.fix);
  return tls;
}

/** The probes with the programs of exec checks found; those that can't be are reported. */
export function resolvePrograms(
  probes: readonly ProbeSpec[],
  part: Part,
  base: readonly string[],
  context: Context,
): ProbeSpec[] {
  return probes.map((probe, index) => {
    if (probe.kind !== 'exec') return probe;
    const found = context.finder.program(probe.path);
    if ('path' in found) return { ...probe, path: found.path };
    context.report.add(part, [...base, index, 'exec'], found.message, found.fix);
    return probe;
  });
}
