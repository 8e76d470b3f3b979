import type { Part } from './replay.ts';
import { configMove, facts, locks, midBackup, minority, orphans } from './replay-faults.ts';
import { firstContainer, joined, partition, quorumLost } from './replay-first.ts';
import { guardedOrphans, guards } from './replay-ha.ts';
import { lifecycle, privileges, restoreOptions, standalone } from './replay-life.ts';

/** Whole files that cannot be replayed, and why; the count says how many of their entries. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  '07-privileges-matrix': 'a table of results, compared in lab-privileges.test.ts',
  '07-privileges-matrix-2': 'a table of results, compared in lab-privileges.test.ts',
  '17-isolated-boot': 'a shell step or a timeline, no request',
  '18-warm-standby': 'the requests that began it were not recorded, only their results',
};

/** All that is replayed. */
export const PARTS: Readonly<Record<string, Part>> = {
  standalone,
  firstContainer,
  joined,
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
  partition,
  quorumLost,
};
