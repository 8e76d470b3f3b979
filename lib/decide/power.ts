/** What the drivers of one node say together. Pure. */
import type { FenceConfig, SwitchConfig } from '../inventory/types.ts';
import type { FenceStatus } from './model.ts';

/** How a driver is called in tables and evidence. */
export function fenceName(config: FenceConfig): string {
  switch (config.driver) {
    case 'agent':
      return config.agent;
    case 'http':
      return config.device ?? 'http';
    case 'redfish':
    case 'all':
    case 'ha-watchdog':
    case 'pve':
    case 'ssh':
    case 'manual':
      return config.driver;
  }
}

/** The drivers that ProxWarden switches by itself, and whose "off" is a proof. */
export function switchesPower(
  config: FenceConfig,
): config is SwitchConfig | Extract<FenceConfig, { driver: 'all' }> {
  return (
    config.driver === 'http' ||
    config.driver === 'agent' ||
    config.driver === 'redfish' ||
    config.driver === 'all'
  );
}

type Read = Pick<FenceStatus, 'driver' | 'power' | 'detail'>;

/**
 * The read that proves a node off: one says off, and none says on. Two that contradict each other prove nothing: a
 * second supply may feed the node, or one of them is somebody else's.
 */
export function offAmong<T extends Read>(reads: readonly T[]): T | null {
  if (reads.some((read) => read.power === 'on')) return null;
  return reads.find((read) => read.power === 'off') ?? null;
}

/** `http says off (ison=false), redfish says on (PowerState=On)`; null: they don't contradict each other. */
export function contradiction(reads: readonly Read[]): string | null {
  const off = reads.find((read) => read.power === 'off');
  const on = reads.find((read) => read.power === 'on');
  if (off === undefined || on === undefined) return null;
  return [off, on].map((read) => `${read.driver} says ${read.power} (${read.detail})`).join(', ');
}
