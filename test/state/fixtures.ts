import type { OperationDraft } from '../../lib/state/operations.ts';
import type { Owner } from '../../lib/state/owner.ts';

/** A process on another host: whether it lives can't be seen from here. */
export const elsewhere: Owner = { host: 'other-host.example', pid: 77, started: null };

export function draftOperation(id: string, container: string, createdAt = 1_000): OperationDraft {
  return {
    version: 1,
    id,
    kind: 'failover',
    container,
    createdAt,
    endedAt: null,
    status: 'running',
    reason: 'three failed checks',
    inventory: 'digest',
    entry: { name: container },
    action: null,
    attempt: 0,
    steps: [],
    data: {
      target: null,
      volid: null,
      backupAt: null,
      backupSize: null,
      weProtected: false,
      onboot: null,
      weStopped: false,
      guard: null,
      moved: null,
      vmid: null,
      turn: true,
      restored: false,
      startAsked: false,
      started: [],
      live: null,
      inPlace: null,
      undoing: null,
      failed: null,
      detectedAt: null,
      verifiedAt: null,
      tried: [],
    },
  };
}
