/** What is said of a restore before it is tried. Pure. */
import type { Bridge } from './guest-config.ts';
import type { StorageView } from './model.ts';

export interface RestoreIssue {
  /** One sentence without a full stop: `mp0 (/data) is a bind mount of /srv/data, which a token cannot restore`. */
  readonly what: string;
  /** What a person does about it; null: nothing short of another node. */
  readonly fix: string | null;
  /** `loses`: it works, but the copy is not all that the original was, or may miss something on its node. */
  readonly severity: 'blocks' | 'loses';
}

/** What was read of the node that would take the copy. */
/** What the token may do that not every restore needs; null: not read. */
export type RestoreRights = Pick<RestoreTarget, 'maySysModify' | 'mayNameDisks'>;

export interface RestoreTarget {
  readonly node: string;
  /** Of this node. */
  readonly storages: readonly StorageView[];
  /** Bridges and vnets; null: not read. */
  readonly bridges: readonly Bridge[] | null;
  /** Bytes. */
  readonly memory: {
    readonly total: number | null;
    /** What others are to get included. */
    readonly used: number | null;
    readonly promised: number;
  };
  /** As `uname -m` says (`x86_64`); null: not read. */
  readonly machine: string | null;
  /** Whether the token has Sys.Modify on `/`; null: not read. */
  readonly maySysModify: boolean | null;
  /** Whether it has VM.Config.Disk on `/vms`; null: not read. */
  readonly mayNameDisks: boolean | null;
}

/** It can't be done. */
export function blocks(what: string, fix: string | null): RestoreIssue {
  return { what, fix, severity: 'blocks' };
}

/** It can, with a loss. */
export function loses(what: string, fix: string | null): RestoreIssue {
  return { what, fix, severity: 'loses' };
}
