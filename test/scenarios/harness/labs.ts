/** The labs of a scenario: one, or several clusters and stand-alone nodes that know nothing of each other. */
import type { Shelves } from '../../../lib/lab/shelf.ts';
import type { LabRequest, LabResponse, LabStatus, RunningCopy } from '../../../lib/lab/types.ts';
import type { VirtualClock } from '../../../lib/lab/virtual-clock.ts';
import type { Network } from './prober.ts';
import type { Runner } from './runner.ts';
import { PLUGS, StagedLab, type Shared, type Trap } from './staged-lab.ts';
import { worldOf, type ClusterFile, type WorldFile } from './world.ts';

export class Labs implements Shared {
  /** The one that most sentences are about. */
  readonly main: StagedLab;
  /** By what the log calls them. */
  readonly named: readonly (readonly [string, StagedLab])[];
  /** Sprung by the calls of any of them. */
  readonly traps: Trap[] = [];
  /** Writing calls to any of them, in order. */
  readonly calls: string[] = [];
  garble: Shared['garble'] = null;
  garbled = 0;
  readonly #shelves: Shelves = new Map();

  constructor(
    { others, twoSupplies, ...first }: WorldFile,
    {
      clock,
      network,
      hex,
    }: { clock: VirtualClock; network: Network; hex: (seed: number) => (bytes: number) => string },
  ) {
    const lab = (file: ClusterFile, net: number): StagedLab =>
      new StagedLab(
        { clock, world: worldOf(file, net), randomHex: hex(1 + net), shelves: this.#shelves },
        network,
        this,
        twoSupplies,
      );
    this.main = lab(first, 0);
    this.named = [
      ['lab', this.main],
      ...Object.entries(others).map(([name, file], index) => [name, lab(file, index + 1)] as const),
    ];
  }

  get all(): readonly StagedLab[] {
    return this.named.map(([, lab]) => lab);
  }

  /** The lab that has a node. */
  of(node: string): StagedLab {
    const found = this.all.find((lab) => lab.hasNode(node));
    if (found === undefined) throw new Error(`no node of the world is called ${node}`);
    return found;
  }

  /** The node with that address. */
  nodeAt(host: string): string {
    for (const lab of this.all) {
      const name = lab.findNode(host);
      if (name !== undefined) return name;
    }
    throw new Error(`no node of the world has the address ${host}`);
  }

  /** Hands a runner's request to the lab that its node or plug is of. */
  serve(node: string, request: LabRequest, runner: Runner): Promise<LabResponse> {
    const plugged =
      node === PLUGS ? /^\/plug\/([^/?]+?)(?:-b)?(?:[/?]|$)/.exec(request.path)?.[1] : undefined;
    const lab =
      node === PLUGS ? (this.all.find((one) => one.hasNode(plugged ?? '')) ?? this.main) : this.of(node);
    return lab.serve(node, request, runner);
  }

  /** The one that a container of that name is in; the first, if in several. */
  serving(hostname: string): StagedLab {
    const has = (lab: StagedLab): boolean => lab.running().some((c) => c.hostname === hostname);
    return this.all.find(has) ?? this.main;
  }

  running(): RunningCopy[] {
    return this.all.flatMap((lab) => [...lab.running()]);
  }

  containers(): LabStatus['containers'][number][] {
    return this.all.flatMap((lab) => [...lab.status().containers]);
  }

  backups(): LabStatus['backups'][number][] {
    return this.all.flatMap((lab) => [...lab.status().backups]);
  }

  nodes(): LabStatus['nodes'][number][] {
    return this.all.flatMap((lab) => [...lab.status().nodes]);
  }

  /** The lab that has a container: `101`, or `101@pve9` where several have it. */
  withGuest(text: string): { lab: StagedLab; vmid: number } {
    const [digits = '', node] = text.split('@');
    const vmid = Number(digits);
    const has = (lab: StagedLab): boolean => lab.status().containers.some((c) => c.vmid === vmid);
    const lab = node === undefined ? this.all.find(has) : this.of(node);
    return { lab: lab ?? this.main, vmid };
  }
}
