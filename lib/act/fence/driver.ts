/** One way to make a node provably off. Each driver is one file here; `fenceDrivers` builds them from the inventory. */
import type { FenceConfig } from '../../inventory/types.ts';
import type { FenceStatus } from '../../decide/model.ts';
import type { Runtime } from '../../runtime.ts';
import { createAgentFence } from './agent.ts';
import { createHttpFence } from './http.ts';
import { createRedfishFence } from './redfish.ts';

export interface FenceDriver {
  readonly name: string;
  /** Reads the power state. Never throws for a silent device: `unknown`, with the reason. */
  status(signal?: AbortSignal): Promise<{ power: FenceStatus['power']; detail: string }>;
  /** Switches off. Idempotent. Throws FailedError when the device does not take the order; only `status` proves it. */
  off(signal?: AbortSignal): Promise<void>;
}

/** The drivers of one node that a program can use, in the inventory's order. `manual` is a person's, not one of them. */
export function fenceDrivers(
  configs: readonly FenceConfig[],
  runtime: Pick<Runtime, 'clock' | 'env' | 'httpDispatcher' | 'dispatcher' | 'exec'>,
): FenceDriver[] {
  return configs.flatMap((config): FenceDriver[] => {
    switch (config.driver) {
      case 'agent':
        return [createAgentFence(config, runtime)];
      case 'http':
        return [createHttpFence(config, runtime)];
      case 'redfish':
        return [createRedfishFence(config, runtime)];
      case 'manual':
        return [];
    }
  });
}
