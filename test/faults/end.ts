/** How a story has ended: everything of it that a later run, or a person, would find. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { parseLineage } from '../../lib/decide/lineage.ts';
import { openOperations } from '../../lib/state/operations.ts';
import type { StagedLab } from '../scenarios/harness/staged-lab.ts';
import type { Stage } from '../scenarios/harness/stage.ts';

export const End = z.object({
  /** Of the last run. */
  exit: z.number().nullable(),
  copies: z.array(z.string()),
  backups: z.array(z.string()),
  /** What Proxmox's HA manager has been told. */
  guards: z.array(z.string()),
  /** Configs that were moved aside. */
  aside: z.array(z.string()),
  /** What the state says of each container. */
  state: z.array(z.string()),
  /** Journals of operations that have not ended. */
  running: z.array(z.string()),
});
export type End = z.infer<typeof End>;

const Config = z.object({ data: z.looseObject({ description: z.string().optional() }) });
const Entries = z.object({
  data: z.array(z.looseObject({ sid: z.string().optional(), group: z.string().optional() })),
});

export async function endOf(stage: Stage): Promise<End> {
  const { labs } = stage;
  const { operations } = openOperations(stage.stateOf(stage.who), { clock: stage.clock }).list();
  const state = stage.state();
  return {
    exit: stage.exit,
    copies: await copies(stage),
    backups: backups(stage),
    guards: await guards(stage),
    aside: labs.all.flatMap((lab) => [...lab.files('proxwarden/retired')].map(withoutIds)),
    state: Object.entries(state.containers).map(([name, { current, error, attempt, autoFailovers }]) =>
      [
        `${name} at ${current === null ? 'nowhere' : `${current.cluster}/${current.node}/${current.vmid}@${current.epoch}`}`,
        `${autoFailovers.length} of ${state.failovers.length} failovers`,
        ...(error === null ? [] : ['hands off']),
        ...(attempt === null ? [] : ['an attempt is left']),
      ].join(', '),
    ),
    running: operations.filter((op) => op.status === 'running').map((op) => `${op.kind} of ${op.container}`),
  };
}

/** Temp files of writers that were killed, below the state folder. */
export function temps(stage: Stage): string[] {
  const folder = stage.stateOf(stage.who);
  return ['.', 'operations', 'plans']
    .map((name) => join(folder, name))
    .filter((place) => existsSync(place))
    .flatMap((place) =>
      readdirSync(place)
        .filter((name) => name.endsWith('.tmp'))
        .map((name) => join(place, name)),
    );
}

async function copies(stage: Stage): Promise<string[]> {
  const { labs } = stage;
  const found = [];
  for (const { vmid, node, ...copy } of labs.containers()) {
    const running = labs.running().find((one) => one.vmid === vmid && one.node === node);
    const answers = running?.services.every((service) => service.up) === true;
    found.push(
      [
        `${copy.hostname} as CT ${vmid} on ${node}: ${copy.state}`,
        answers ? 'answers' : 'silent',
        `onboot ${copy.onboot ? 1 : 0}`,
        await lineOf(stage, node, vmid),
        `tags ${copy.tags.join(' ')}`,
      ].join(', '),
    );
  }
  return found.toSorted();
}

async function lineOf(stage: Stage, node: string, vmid: number): Promise<string> {
  if (stage.labs.nodes().find((one) => one.name === node)?.api !== true) return 'unread';
  const { data } = await read(stage.labs.of(node), stage, `/nodes/${node}/lxc/${vmid}/config`, Config);
  const line = parseLineage(data.description ?? '');
  return line === null ? 'no line' : `epoch ${line.epoch} ${line.phase}`;
}

function backups({ labs }: Stage): string[] {
  const counts = new Map<string, number>();
  for (const one of labs.backups()) {
    const name = `of CT ${one.vmid}${one.protected ? ', protected' : ''}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} ${name}`).toSorted();
}

async function guards(stage: Stage): Promise<string[]> {
  const found = [];
  for (const lab of stage.labs.all)
    for (const what of lab.quorateNode === undefined ? [] : ['resources', 'groups'])
      for (const { sid, group } of (await read(lab, stage, `/cluster/ha/${what}`, Entries)).data)
        found.push(`${what}: ${sid ?? ''} ${group ?? ''}`);
  return found.toSorted();
}

async function read<T>(lab: StagedLab, stage: Stage, path: string, schema: z.ZodType<T>): Promise<T> {
  return schema.parse(JSON.parse(await stage.run(lab.admin('GET', path, []))));
}

function withoutIds(path: string): string {
  return path.replaceAll(/op-\d{8}T\d{6}-[0-9a-f]{6}/g, 'OP');
}
