/** Probes without sockets: what a runner's probe would meet in the lab's world, on virtual time. */
import type { Clock } from '../../../lib/clock.ts';
import type { ProbeResult } from '../../../lib/decide/model.ts';
import type { ProbeSpec } from '../../../lib/inventory/types.ts';
import type { LabControl } from '../../../lib/lab/types.ts';
import { formatDuration } from '../../../lib/units.ts';

/** What a step has put at an address: it answers well, refuses, or nothing is heard of it. */
export type Answer = 'ok' | 'refused' | 'nothing';

/** The network as the runner sees it, beyond the lab. */
export interface Network {
  /** The runner's own link is down: nothing answers at all. */
  runnerCut: boolean;
  /** `host:port` outside of the cluster that answers. */
  readonly outside: Set<string>;
  /** `host:port` that a step has decided on, whatever the lab says. */
  readonly forced: Map<string, Answer>;
  /** The nodes' own addresses: they answer a ping. */
  readonly nodes: ReadonlyMap<string, string>;
}

const LATENCY_MS = 3;

export async function probeLab(
  spec: ProbeSpec,
  world: {
    labs: readonly LabControl[];
    network: Network;
    clock: Clock;
    signal?: AbortSignal | undefined;
    /** The node that it is probed from. */
    from?: string | null;
  },
): Promise<ProbeResult> {
  const answer = meet(spec, world.labs, world.network, world.from ?? null);
  if (answer === 'nothing') {
    await world.clock.sleep(spec.timeoutMs * spec.attempts, world.signal);
    return {
      probe: spec.label,
      ok: false,
      answered: false,
      latencyMs: null,
      reason: `no answer within ${formatDuration(spec.timeoutMs)}`,
      attempts: spec.attempts,
    };
  }
  await world.clock.sleep(LATENCY_MS, world.signal);
  const ok = answer === 'ok';
  return {
    probe: spec.label,
    ok,
    answered: true,
    latencyMs: LATENCY_MS,
    reason: ok ? `answered in ${LATENCY_MS} ms` : 'connection refused',
    attempts: ok ? 1 : spec.attempts,
  };
}

function meet(spec: ProbeSpec, labs: readonly LabControl[], network: Network, from: string | null): Answer {
  if (network.runnerCut || isCut(labs, from)) return 'nothing';
  const [host, port] = addressOf(spec);
  const address = `${host}:${port}`;
  const forced = network.forced.get(address);
  if (forced !== undefined) return forced;
  if (network.outside.has(address)) return 'ok';
  const node = network.nodes.get(host);
  if (node !== undefined)
    return spec.kind === 'ping' && labs.some((lab) => isUp(lab, node)) ? 'ok' : 'nothing';
  // A copy that runs has a kernel that refuses where no service listens; without one the address is dead.
  const copy = labs
    .flatMap((lab) =>
      lab
        .running()
        .filter((one) => one.services.some((service) => service.host === host))
        .map((one) => ({ ...one, lab })),
    )
    .find(({ lab, node: on }) => isUp(lab, on));
  if (copy === undefined) return 'nothing';
  if (spec.kind === 'ping') return 'ok';
  return copy.services.some((service) => service.port === port && service.up) ? 'ok' : 'refused';
}

/** What still answers there, its own containers, is left out: nobody acts on it. */
function isCut(labs: readonly LabControl[], node: string | null): boolean {
  if (node === null) return false;
  return labs.some((lab) => lab.nodeStatus().some((n) => n.name === node && n.network === 'cut'));
}

function isUp(lab: LabControl, name: string): boolean {
  return lab.nodeStatus().some((n) => n.name === name && n.power === 'on' && n.network === 'up');
}

function addressOf(spec: ProbeSpec): [string, number] {
  switch (spec.kind) {
    case 'tcp':
      return [spec.host, spec.port];
    case 'ping':
      return [spec.host, 0];
    case 'dns':
      return [spec.server, spec.port];
    case 'http': {
      const url = new URL(spec.url);
      return [url.hostname, Number(url.port === '' ? '80' : url.port)];
    }
    case 'exec':
      throw new Error('scenarios have no exec checks');
  }
}
