import { parseConfig, parseProperties } from './ct-config.ts';
import type { World } from './world.ts';

/** Measured on the genuine cluster (facts, section 11), in milliseconds from the order. */
const TIMES = { act: 2_000, lrm: 12_000, apiGone: 15_000, off: 20_000, backOn: 21_000 } as const;

/**
 * A clean shutdown or reboot of a node, by a person at it or by the API: a `stopall` task of root@pam, whoever gave the
 * order, shuts its containers down, each with a `vzshutdown` of its own; then the API goes, then the power, and with it
 * what runs without a config. A node that dies meanwhile is not powered on again. Returns at once.
 */
export function shutdownNode(
  world: World,
  node: string,
  { reboot, by }: { readonly reboot: boolean; readonly by: 'hand' | 'API' },
): void {
  const { core, nodes, watchdog } = world;
  const { power, bootedAt } = nodes.get(node);
  if (power === 'off') return;
  core.event(`node ${node}: ${reboot ? 'reboot' : 'shutdown'} by ${by}`);
  const at = (ms: number, work: () => void): void => {
    core.after(ms, () => {
      const { power: now, bootedAt: boot } = nodes.get(node);
      if (now === 'on' && boot === bootedAt) work();
    });
  };
  at(TIMES.act, () => stopAll(world, node));
  at(TIMES.lrm, () => watchdog.shutdown(node, reboot ? 'restart' : 'shutdown'));
  at(TIMES.apiGone, () => nodes.goDown(node));
  at(TIMES.off, () => {
    nodes.kill(node);
    if (reboot) core.after(TIMES.backOn - TIMES.off, () => nodes.revive(node));
  });
}

/** What the node's pve-guests service does when the node goes down. */
function stopAll({ tasks, guests, cfs }: World, node: string): void {
  tasks.spawn(node, 'stopall', '', 'root@pam', async (worker) => {
    const stopping = guests
      .copies()
      .filter((copy) => copy.node === node && cfs.read(node, copy.vmid) !== null)
      .map(({ vmid }) => {
        worker.log(`Stopping CT ${vmid} (timeout = 180 seconds)`);
        return guests.spawnShutdown(node, vmid, 'root@pam', 'vzshutdown');
      });
    for (const task of stopping)
      await worker.wait((resume) => {
        task.ended.then(resume, resume);
        return () => undefined;
      });
  });
}

/**
 * What a node does once it has quorum after a boot: it starts what its configs say at that moment, in their order. A
 * later change of an onboot doesn't take one off the list (PVE's source; unmeasured).
 */
export function startAll({ tasks, guests, cfs, ha }: World, node: string): void {
  tasks.spawn(node, 'startall', '', 'root@pam', async (worker) => {
    const wanted = cfs
      .list(node)
      .map((vmid) => ({ vmid, values: parseConfig(cfs.read(node, vmid) ?? '').values }))
      .filter(({ values }) => values.get('onboot') === '1' && values.get('template') !== '1')
      .map(({ vmid, values }) => ({ vmid, ...startupOf(values.get('startup') ?? '') }))
      .toSorted((a, b) => a.order - b.order || a.vmid - b.vmid);
    for (const [index, { vmid, upSeconds }] of wanted.entries()) {
      if (ha.managing(vmid) !== undefined || guests.copy(node, vmid) !== undefined) continue;
      worker.log(`Starting CT ${vmid}`);
      const task = guests.spawnStart(node, vmid, 'root@pam', 'autostart');
      await worker.wait((resume) => {
        task.ended.then(resume, resume);
        return () => undefined;
      });
      if (index < wanted.length - 1) await worker.sleep(upSeconds * 1000);
    }
  });
}

/** `order=1,up=30,down=60`, or `1`: without an order it comes last; `up` is how long the next one waits (PVE's source). */
function startupOf(text: string): { readonly order: number; readonly upSeconds: number } {
  const values = parseProperties(text);
  const order = values.get('order') ?? values.get('');
  return { order: order ? Number(order) : Infinity, upSeconds: Number(values.get('up') ?? 0) };
}
