import type { Inventory } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import type { Runtime } from '../runtime.ts';
import type { OperationStore } from '../state/operations.ts';
import type { StateStore } from '../state/store.ts';
import type { Teller } from '../tell/events.ts';
import type { Turns } from './turns.ts';

/** What everything that changes the world works with. */
export interface ActContext {
  readonly runtime: Runtime;
  readonly inventory: Inventory;
  readonly apis: ReadonlyMap<string, PveApi>;
  readonly state: StateStore;
  readonly operations: OperationStore;
  readonly teller: Teller;
  readonly turns: Turns;
  readonly signal: AbortSignal | undefined;
}
