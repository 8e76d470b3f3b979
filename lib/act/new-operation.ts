import type { Container } from '../inventory/types.ts';
import type { Operation } from '../state/model.ts';
import { newOperationId, type OperationDraft } from '../state/operations.ts';
import type { ActContext } from './context.ts';

type Given = Pick<Operation, 'kind' | 'reason' | 'action'> & { readonly data?: Partial<Operation['data']> };

/**
 * Journals a new operation of one container. Throws LockedError or BlockedError when it has one already, and what
 * `admit` throws, which is shown those that are running while no other can begin.
 */
export function newOperation(
  { operations, runtime, inventory }: ActContext,
  container: Container,
  given: Given,
  admit?: (running: readonly Operation[]) => void,
): Operation {
  const now = runtime.clock.now();
  const draft: OperationDraft = {
    version: 1,
    id: newOperationId(now, (bytes) => runtime.randomHex(bytes)),
    kind: given.kind,
    container: container.name,
    createdAt: now,
    endedAt: null,
    status: 'running',
    reason: given.reason,
    inventory: inventory.digest,
    entry: container,
    action: given.action,
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
      ...given.data,
    },
  };
  return operations.create(draft, admit);
}
