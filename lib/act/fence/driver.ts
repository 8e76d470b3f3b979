/** One way to make a node provably off. Each driver is one file here; `fenceDrivers` builds them from the inventory. */
import { DeadlineError, withDeadline, type Clock } from '../../clock.ts';
import type { FenceConfig, SwitchConfig } from '../../inventory/types.ts';
import type { FenceStatus } from '../../decide/model.ts';
import type { Runtime } from '../../runtime.ts';
import { createAgentFence } from './agent.ts';
import { createAllFence } from './all.ts';
import { createHttpFence } from './http.ts';
import { createRedfishFence } from './redfish.ts';

export interface PowerRead {
  readonly power: FenceStatus['power'];
  readonly detail: string;
}

export interface FenceDriver {
  readonly name: string;
  /** Reads the power state. Never throws for a silent device: `unknown`, with the reason. */
  readonly status: (signal?: AbortSignal) => Promise<PowerRead>;
  /** Switches off. Idempotent. Throws FailedError when the device does not take the order; only `status` proves it. */
  readonly off: (signal?: AbortSignal) => Promise<void>;
}

/** What a person may ask of a driver besides: nothing automatic ever powers a node on (rule 5). */
export interface PowerSwitch extends FenceDriver {
  /** Null: it can't. Throws FailedError when the device does not take the order. */
  readonly on: ((signal?: AbortSignal) => Promise<void>) | null;
}

export type DriverRuntime = Pick<
  Runtime,
  'clock' | 'env' | 'httpDispatcher' | 'dispatcher' | 'exec' | 'randomHex'
>;

/** For the status of a plug or a BMC, whatever its own timeout, so that the other reads are still young enough for a proof. */
const STATUS_MS = 5_000;

/** The drivers of one node that switch its power, in the inventory's order. The others prove, or serve people, elsewhere. */
export function fenceDrivers(configs: readonly FenceConfig[], runtime: DriverRuntime): FenceDriver[] {
  return powerSwitches(configs, runtime).map(({ name, status, off }) => ({ name, status, off }));
}

/** The same with `on`: for `fence on`, and for nothing else. */
export function powerSwitches(configs: readonly FenceConfig[], runtime: DriverRuntime): PowerSwitch[] {
  return configs.flatMap((config) => {
    switch (config.driver) {
      case 'all':
        return [createAllFence(config.of.map((one) => createSwitch(one, runtime)))];
      case 'http':
      case 'agent':
      case 'redfish':
        return [createSwitch(config, runtime)];
      case 'ha-watchdog':
      case 'pve':
      case 'ssh':
      case 'manual':
        return [];
    }
  });
}

function createSwitch(config: SwitchConfig, runtime: DriverRuntime): PowerSwitch {
  switch (config.driver) {
    case 'http':
      return createHttpFence(config, runtime);
    case 'agent':
      return createAgentFence(config, runtime);
    case 'redfish':
      return createRedfishFence(config, runtime);
  }
}

/** The status within five seconds, or `unknown`. Rejects only when `signal` aborts. */
export async function readPower(
  driver: Pick<FenceDriver, 'status'>,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<PowerRead> {
  try {
    return await withDeadline(clock, STATUS_MS, signal, (inner) => driver.status(inner));
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    return { power: 'unknown', detail: error.message };
  }
}
