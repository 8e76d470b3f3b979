import type { Part } from './replay.ts';
import { configMove, facts, locks, midBackup, minority, orphans } from './replay-faults.ts';
import { guardedOrphans, guards } from './replay-ha.ts';
import { lifecycle, privileges, restoreOptions, standalone } from './replay-life.ts';

/**
 * All that is replayed. Files that are not here: 01 and 02 (made while that machine's tools were still being mended,
 * and joining a cluster), 12 and 16 (calls to a node that is cut off: in the lab nothing reaches it), 17 (no
 * requests), 18-warm-standby (its requests were not recorded, only their results); 07's matrices are privileges.test.ts.
 */
export const PARTS: Readonly<Record<string, Part>> = {
  standalone,
  lifecycle,
  privileges,
  configMove,
  minority,
  locks,
  orphans,
  guards,
  guardedOrphans,
  restoreOptions,
  facts,
  midBackup,
};
