/** A lab without a world behind it: tests set what it says. */
import {
  LabUnreachable,
  type LabControl,
  type LabRequest,
  type LabResponse,
  type LabStatus,
  type NodeStatus,
  type RunningCopy,
} from '../../lib/lab/types.ts';

export class FakeLab implements LabControl {
  readonly violations = [];
  readonly events = [];
  readonly requests: LabRequest[] = [];
  readonly calls: string[] = [];
  copies: RunningCopy[] = [];
  containers: LabStatus['containers'] = [];
  backups: LabStatus['backups'] = [];
  nodes: NodeStatus[];
  /** What a node that can be reached answers. */
  reply: (request: LabRequest) => Promise<LabResponse> = async () => ({
    status: 200,
    statusText: 'OK',
    headers: { 'content-type': 'application/json;charset=UTF-8' },
    body: '{"data":null}',
  });
  readonly #plugs = new Map<string, 'on' | 'off'>();
  readonly #listeners: (() => void)[] = [];

  constructor(...names: readonly string[]) {
    this.nodes = names.map((name) => ({
      name,
      power: 'on',
      network: 'up',
      api: true,
      hung: false,
      quorate: true,
    }));
  }

  /** Changes one node and tells everybody. */
  set(name: string, change: Partial<NodeStatus>): void {
    this.nodes = this.nodes.map((node) => (node.name === name ? { ...node, ...change } : node));
    this.changed();
  }

  /** Changes the running copies and tells everybody. */
  run(...copies: RunningCopy[]): void {
    this.copies = copies;
    this.changed();
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  async handle(node: string, request: LabRequest): Promise<LabResponse> {
    const state = this.nodes.find(({ name }) => name === node);
    if (state?.network === 'cut') throw new LabUnreachable(node, 'timeout');
    if (state?.api !== true) throw new LabUnreachable(node, 'refused');
    this.requests.push(request);
    return this.reply(request);
  }

  kill(node: string): void {
    this.calls.push(`kill ${node}`);
    this.set(node, { power: 'off', api: false });
  }
  revive(node: string): void {
    this.calls.push(`revive ${node}`);
    this.set(node, { power: 'on', api: true });
  }
  shutdown(node: string): void {
    this.calls.push(`shutdown ${node}`);
  }
  reboot(node: string): void {
    this.calls.push(`reboot ${node}`);
  }
  cut(node: string): void {
    this.calls.push(`cut ${node}`);
    this.set(node, { network: 'cut' });
  }
  mendNetwork(node: string): void {
    this.calls.push(`mend-network ${node}`);
    this.set(node, { network: 'up' });
  }
  hang(node: string): void {
    this.calls.push(`hang ${node}`);
    this.set(node, { hung: true });
  }
  unhang(node: string): void {
    this.calls.push(`unhang ${node}`);
    this.set(node, { hung: false });
  }
  breakService(hostname: string): void {
    this.calls.push(`break ${hostname}`);
  }
  mendService(hostname: string): void {
    this.calls.push(`mend ${hostname}`);
  }
  fill(storage: string): void {
    this.calls.push(`fill ${storage}`);
  }
  unmount(storage: string, node?: string): void {
    this.calls.push(`unmount ${storage} ${node ?? 'all'}`);
  }

  mount(storage: string, node?: string): void {
    this.calls.push(`mount ${storage} ${node ?? 'all'}`);
  }

  verify(volid: string, result: string): void {
    this.calls.push(`verify ${volid} ${result}`);
  }

  drain(storage: string): void {
    this.calls.push(`drain ${storage}`);
  }
  plug(node: string): 'on' | 'off' {
    return this.#plugs.get(node) ?? 'on';
  }
  setPlug(node: string, power: 'on' | 'off'): void {
    this.#plugs.set(node, power);
  }
  async pct(node: string, args: readonly string[]) {
    this.calls.push(`pct ${node} ${args.join(' ')}`);
    return { exitCode: 0, output: 'done' };
  }
  async startByHand(vmid: number): Promise<void> {
    this.calls.push(`start ${vmid}`);
  }
  async stopByHand(vmid: number): Promise<void> {
    this.calls.push(`stop ${vmid}`);
  }
  async unlockByHand(vmid: number): Promise<void> {
    this.calls.push(`unlock ${vmid}`);
  }
  running(): readonly RunningCopy[] {
    return this.copies;
  }
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }
  nodeStatus(): LabStatus['nodes'] {
    return this.nodes;
  }
  status(): LabStatus {
    return { nodes: this.nodes, containers: this.containers, backups: this.backups, violations: [] };
  }
  close(): void {
    this.calls.push('close');
  }
}
