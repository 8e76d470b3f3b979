/** Root at a node of the lab: what the scripts of lib/act/shell-scripts.ts come to there. */
import { createHash } from 'node:crypto';
import type { ShellOrder, ShellResult } from '../runtime.ts';
import { shutdownNode } from './power.ts';
import type { World } from './world.ts';

export type QuickOrder = Exclude<ShellOrder, { kind: 'pct' }>;
export type QuickResult = Exclude<ShellResult, { kind: 'begun' }>;

/** Carries an order out. Writes wait while membership changes, and fail without quorum (facts, section 8). */
export async function carryOutOrder(world: World, node: string, order: QuickOrder): Promise<QuickResult> {
  const { cfs, core, guests, nodes } = world;
  const refuse = (why: string): QuickResult => ({ kind: 'not-sent', why });
  const ended = (exitCode: number, output = ''): QuickResult => ({ kind: 'ended', exitCode, output });
  switch (order.kind) {
    case 'greet':
      return ended(0);
    case 'power-off':
      shutdownNode(world, node, { reboot: false, by: 'hand' });
      return ended(0);
    case 'read-config': {
      const text = cfs.file(order.path);
      return text === null
        ? refuse(`there is no /etc/pve/${order.path}`)
        : ended(0, `${sha1(text)}  -\n${text}`);
    }
    case 'move-config': {
      const { from, to } = order;
      await nodes.settled(node);
      if (!nodes.quorate(node)) return refuse(`${node} has no quorum`);
      const text = cfs.file(from);
      if (text === null) return cfs.file(to) === null ? refuse(`there is no /etc/pve/${from}`) : ended(0);
      if (cfs.file(to) !== null) return refuse(`there is a /etc/pve/${to} already`);
      if (sha1(text) !== order.sha1) return refuse(`/etc/pve/${from} is not the file that was looked at`);
      try {
        world.statd.note();
        cfs.rename(from, to);
      } catch (error) {
        return refuse(`/etc/pve/${from} can't be moved: ${error instanceof Error ? error.message : ''}`);
      }
      core.event(`/etc/pve: ${from} moved to ${to}`);
      core.changed();
      return ended(0);
    }
    case 'stop-orphan': {
      const { vmid } = order;
      if (!nodes.quorate(node)) return refuse(`${node} has no quorum`);
      const owner = cfs.find(vmid);
      if (owner === node) return refuse(`CT ${vmid} has its config on ${node}: it is no orphan`);
      if (owner === null) return refuse(`no node has a config of CT ${vmid}: it may be the only copy`);
      if (guests.copy(node, vmid) === undefined) return ended(2, `lxc-stop: ${vmid}: it is not running`);
      guests.ended(node, vmid, 'ended by lxc-stop -k');
      return ended(0);
    }
  }
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex');
}
