import type { Caller } from './auth.ts';
import type { Params } from './params.ts';
import type { World } from './world.ts';

/** One verified call, on the node that answers it. */
export interface Call {
  readonly world: World;
  readonly caller: Caller;
  /** The node that carries it out; for calls without a node in their path, the one that it reached. */
  readonly node: string;
  readonly params: Params;
}

export interface Route {
  /** `GET /nodes/{node}/lxc`: also the key of its parameters' description. */
  readonly endpoint: string;
  /** Privileges (one of them is enough) that Proxmox demands before it looks at the parameters. */
  readonly demands?: readonly [path: string, ...privileges: string[]];
  /** Only from this major version of Proxmox VE on. Default: always. */
  readonly since?: number;
  readonly answer: (call: Call) => unknown;
}
