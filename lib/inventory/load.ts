/** Loads an inventory folder. Runs nothing, needs no network and reads no secret. */
import { resolveKeepApart } from './apart.ts';
import { resolveClusters, type Context } from './clusters.ts';
import { resolveContainers } from './containers.ts';
import { digestOf } from './digest.ts';
import { readFolder, type Folder } from './files.ts';
import { maskLiterals } from './literals.ts';
import { readPart, type Part } from './parts.ts';
import { formatProblem, InventoryError, type Problem } from './problems.ts';
import { allowedPrograms, Finder, type Sought } from './programs.ts';
import { Report } from './report.ts';
import { resolveHeartbeat, resolveNotify } from './notify-resolve.ts';
import { HookLists, resolveLimits } from './shared.ts';
import type { Inventory } from './types.ts';
import { VmidClaims } from './vmids.ts';
import { MOST_NODES, readYaml, type Json } from './yaml.ts';

export { InventoryError, type Problem } from './problems.ts';

export interface LoadOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads all `*.yaml` and `*.yml` directly in the folder (none that begin with a dot) and puts them together.
 * Throws InventoryError with every problem of every file.
 */
export function loadInventory(dir: string, options: LoadOptions = {}): Inventory {
  return loadFolder(readFolder(dir), options.env ?? {}).inventory;
}

/** The same of a folder that has been read already, with what was looked for on this machine. Throws InventoryError. */
export function loadFolder(
  { root, sources, problems: unread }: Folder,
  env: NonNullable<LoadOptions['env']>,
): { readonly inventory: Inventory; readonly sought: readonly Sought[] } {
  const problems = [...unread];
  const parts: Part[] = [];
  const written: Json[] = [];
  let incomplete = problems.length > 0;
  let nodes = MOST_NODES;
  for (const { file, text } of sources) {
    const yaml = readYaml(file, text, nodes);
    nodes -= yaml.nodes;
    problems.push(...maskLiterals(yaml.problems, yaml.data));
    const read = yaml.data === undefined ? undefined : readPart(file, yaml, yaml.data);
    if (yaml.data !== undefined) written.push(yaml.data);
    problems.push(...maskLiterals(read?.problems ?? [], yaml.data));
    if (read?.part === undefined) incomplete = true;
    else parts.push(read.part);
    if (read?.part?.broken.some((path) => path[0] === 'cluster') === true) incomplete = true;
    if (nodes < 0) break;
  }
  const report = new Report();
  const finder = new Finder(root, allowedPrograms(env));
  const resolved = resolve(parts, { finder, report, incomplete });
  problems.push(...maskLiterals(report.problems, written));
  if (problems.length > 0) throw new InventoryError(unique(problems));
  const warnings = [...new Set(report.warnings)];
  const inventory = {
    dir: root,
    files: sources.map(({ file }) => file),
    digest: digestOf({ dir: root, ...resolved }),
    ...resolved,
    warnings,
  };
  return { inventory, sought: finder.sought };
}

function resolve(
  parts: readonly Part[],
  context: Context,
): Pick<Inventory, 'clusters' | 'containers' | 'limits' | 'keepApart' | 'notify' | 'heartbeat'> {
  const claims = new VmidClaims(context.report);
  claims.claimOriginals(parts);
  const clusters = resolveClusters(parts, context);
  const hooks = new HookLists(parts, context);
  const containers = resolveContainers(parts, { context, clusters, hooks, claims });
  warnAboutFences({ clusters: clusters.byName, containers }, context.report);
  return {
    clusters: clusters.byName,
    containers,
    limits: resolveLimits(parts, context),
    keepApart: resolveKeepApart(parts, context),
    notify: resolveNotify(parts, context),
    heartbeat: resolveHeartbeat(parts, context),
  };
}

function warnAboutFences(
  { clusters, containers }: Pick<Inventory, 'clusters' | 'containers'>,
  report: Report,
): void {
  for (const container of Object.values(containers)) {
    const nodes = Object.values(clusters[container.cluster]?.nodes ?? {});
    if (container.mode !== 'protect' || container.failover.proof !== 'fenced') continue;
    if (nodes.some((node) => node.fence.length > 0)) continue;
    report.warn(
      `${container.name}: proof is fenced, but no node of ${container.cluster} has a fence, so it is never failed over from a dead node`,
    );
  }
}

/** A wrong default is met once per container; one line is enough. */
function unique(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [formatProblem(problem), problem])).values()];
}
