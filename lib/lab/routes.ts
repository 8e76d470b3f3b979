import { ApiError } from './http.ts';
import { verify } from './params.ts';
import type { Caller } from './auth.ts';
import type { Route } from './route.ts';
import { clusterRoutes, majorOf } from './routes-cluster.ts';
import { haRoutes } from './routes-ha.ts';
import { haRuleRoutes } from './routes-ha-rules.ts';
import { inspectRoutes } from './routes-inspect.ts';
import { lxcRoutes, netstatRoute } from './routes-lxc.ts';
import { networkRoutes } from './routes-network.ts';
import { nodeRoutes } from './routes-node.ts';
import { storageRoutes } from './routes-storage.ts';
import { taskRoutes } from './routes-tasks.ts';
import { vzdumpRoutes } from './routes-vzdump.ts';
import type { World } from './world.ts';

const ROUTES: readonly (Route & { method: string; segments: readonly string[] })[] = [
  ...clusterRoutes,
  ...nodeRoutes,
  ...networkRoutes,
  netstatRoute,
  ...lxcRoutes,
  ...vzdumpRoutes,
  ...storageRoutes,
  ...taskRoutes,
  ...haRoutes,
  ...haRuleRoutes,
  ...inspectRoutes,
].map((route) => {
  const [method = '', path = ''] = route.endpoint.split(' ');
  return { ...route, method, segments: path.split('/').filter((part) => part !== '') };
});

/** The route of a request, with what its path says; null when the lab has none. */
export function matchRoute(
  method: string,
  path: string,
): { route: Route; fromPath: Map<string, string> } | null {
  const parts = path.split('/').filter((part) => part !== '');
  for (const route of ROUTES) {
    if (route.method !== method) continue;
    const fromPath = matchSegments(route.segments, parts);
    if (fromPath !== null) return { route, fromPath };
  }
  return null;
}

function matchSegments(segments: readonly string[], parts: readonly string[]): Map<string, string> | null {
  const fromPath = new Map<string, string>();
  for (const [index, segment] of segments.entries()) {
    const name = /^\{(\w+)\}$/.exec(segment)?.[1];
    // A volume id may come with its slash unescaped.
    const rest = name === 'volume' ? parts.slice(index).join('/') : parts[index];
    if (rest === undefined || rest === '') return null;
    if (name === undefined && segment !== rest) return null;
    if (name !== undefined) fromPath.set(name, decodeURIComponent(rest));
    if (name === 'volume') return fromPath;
  }
  return parts.length === segments.length ? fromPath : null;
}

interface Request {
  readonly method: string;
  readonly path: string;
  readonly given: ReadonlyMap<string, string>;
}

/** Whether this is one of the few calls that nobody has to be logged in for. */
export function isLogin({ method, path }: Request): boolean {
  return path === '/access/ticket' && (method === 'GET' || method === 'POST');
}

/** `GET` is there for login pages only, and says nothing. */
export function logIn(world: World, { method, path, given }: Request): unknown {
  const params = verify(`${method} ${path}`, given, majorOf(world));
  return method === 'GET' ? null : world.auth.logIn(params);
}

/** Carries out one request that reached `arrival`: privileges, then the way to the right node, then the parameters. */
export async function carryOut(
  world: World,
  caller: Caller,
  arrival: string,
  request: Request,
): Promise<unknown> {
  const target = /^\/+nodes\/([^/]+)\/./.exec(request.path)?.[1];
  const matched = matchRoute(request.method, request.path);
  if (matched === null || (matched.route.since ?? 0) > majorOf(world)) {
    // Unknown paths below a node are known to be unknown only there.
    if (target !== undefined && world.nodes.find(target) !== undefined)
      await world.nodes.reach(arrival, target);
    throw new ApiError(501, `Method '${request.method} ${request.path}' not implemented`);
  }
  const { route, fromPath } = matched;
  if (route.demands !== undefined) {
    const [path, ...privileges] = route.demands;
    caller.demand(
      path.replaceAll(/\{(\w+)\}/g, (_, name: string) => fromPath.get(name) ?? ''),
      ...privileges,
    );
  }
  let node = arrival;
  if (fromPath.has('node')) {
    node = fromPath.get('node') ?? arrival;
    if (node === 'localhost') node = arrival;
    if (world.nodes.find(node) === undefined)
      throw new ApiError(
        500,
        `hostname lookup '${node}' failed - failed to get address info for: ${node}: Name or service not known`,
      );
    // A write that a hung node has taken in is carried out once it goes on, whoever still listens.
    if (world.nodes.get(node).hung && request.method !== 'GET')
      world.backlog.push({ node, work: () => carryOut(world, caller, node, request) });
    await world.nodes.reach(arrival, node);
  }
  const params = verify(route.endpoint, new Map([...request.given, ...fromPath]), majorOf(world));
  return route.answer({ world, caller, node, params });
}
