import type { WorldSpec } from './types.ts';
import type { Auth } from './auth.ts';
import type { Checker } from './checker.ts';
import type { Core } from './core.ts';
import type { Guests } from './guests.ts';
import type { Ha } from './ha.ts';
import type { Nodes } from './nodes.ts';
import type { Pmxcfs } from './pmxcfs.ts';
import type { Statd } from './statd.ts';
import type { Storages } from './storage.ts';
import type { Tasks } from './tasks.ts';
import type { Watchdog } from './watchdog.ts';

/** The parts of one simulated cluster, so that each can reach the others. Assembled in lab.ts. */
export interface World {
  readonly spec: WorldSpec;
  readonly core: Core;
  readonly cfs: Pmxcfs;
  readonly nodes: Nodes;
  readonly storages: Storages;
  readonly tasks: Tasks;
  readonly guests: Guests;
  readonly checker: Checker;
  readonly ha: Ha;
  readonly auth: Auth;
  readonly statd: Statd;
  readonly watchdog: Watchdog;
  /** What hung nodes have been asked to do. */
  readonly backlog: { readonly node: string; readonly work: () => Promise<unknown> }[];
}
