/** One backup of a container, made by vzdump and read back from its storage. */
import { backupMode, type BackupMode, type ModeChoice } from '../decide/mode.ts';
import { containerIn } from '../decide/reach.ts';
import { formatNotes, type BackupPurpose } from '../decide/notes.ts';
import { FailedError, PveError } from '../errors.ts';
import type { Container } from '../inventory/types.ts';
import type { PveApi } from '../pve/api.ts';
import { storageOf } from '../decide/volid.ts';
import { createdArchive } from '../pve/task.ts';
import type { StepRecord } from '../state/model.ts';
import { quorateApi, type OperationContext } from './journal.ts';
import { runTask } from './run-task.ts';

export interface BackupRequest {
  readonly cluster: string;
  readonly node: string;
  readonly vmid: number;
  readonly epoch: number;
  /** `stop` for a source that has been stopped; undefined: as the inventory and the storages say. */
  readonly mode?: BackupMode;
  readonly purpose: BackupPurpose;
}

/** Waits for the vzdump. Throws FailedError when no archive is there after it, PveError when it fails. */
export async function makeBackup(
  context: OperationContext,
  record: StepRecord,
  what: BackupRequest,
): Promise<{ volid: string; at: number; size: number }> {
  const { container, op, signal } = context;
  const { cluster, node, vmid } = what;
  const { storage } = containerIn(container, cluster).backup;
  const mode = what.mode ?? (await sayMode(context, what));
  const notes = formatNotes({
    container: container.name,
    epoch: what.epoch,
    purpose: what.purpose,
    operation: op.id,
  });
  const dump = (prune: boolean): Promise<readonly string[]> =>
    runTask(context, record, {
      cluster,
      node,
      vmid,
      type: 'vzdump',
      work: { storage, bytes: null },
      issue: (to) => to.vzdump(node, { vmid, storage, mode, notes, prune }, { signal }),
    });
  const log = await dump(false).catch((error: unknown) => {
    if (!(error instanceof PveError) || !isFull(error)) throw error;
    // It ended before it wrote anything. Only a run that lets PVE prune by its own retention is taken.
    record.task = null;
    context.operations.save(op);
    context.teller.tell({
      kind: 'note',
      level: 'warn',
      container: container.name,
      text: `${storage} holds as many backups of CT ${vmid} as its retention keeps: PVE removes the oldest unprotected ones after this one`,
    });
    return dump(true);
  });
  const volid = createdArchive(log, storage);
  if (volid === null)
    throw new FailedError(`the vzdump of CT ${vmid} on ${node} names no archive in its log`);
  const api = await quorateApi(context, cluster);
  const entry = (await api.backups(node, storage, { vmid, signal })).find((b) => b.volid === volid);
  if (entry === undefined)
    throw new FailedError(`${volid} is not on ${storage}, although its vzdump ended well`);
  if (entry.unfinished !== null)
    throw new FailedError(`${volid} is not whole, although its vzdump ended well: ${entry.unfinished}`);
  // Also for the estimate of the next one.
  if (record.task !== null) record.task.bytes = entry.size;
  return { volid, at: entry.at, size: entry.size };
}

/** `There is a max backup limit of 3 enforced by the target storage`: what PVE says to `remove=0` (its source; unmeasured). */
function isFull(error: PveError): boolean {
  return /max backup limit of \d+ enforced/.test(error.message);
}

async function sayMode(context: OperationContext, what: BackupRequest): Promise<BackupMode> {
  const { container, teller, signal } = context;
  const api = await quorateApi(context, what.cluster);
  const { mode, said, warn } = await modeOf(api, containerIn(container, what.cluster), what, signal);
  // Who asks for a backup wants to know what it does to the service; at the end of a failover only a loss is news.
  const level = warn ? 'warn' : what.purpose === 'by hand' ? 'info' : 'debug';
  if (said !== null) teller.tell({ kind: 'note', level, container: container.name, text: said });
  return mode;
}

/** The mode in which a container would be backed up now. Storages that can't be read leave the choice to PVE. */
export async function modeOf(
  api: PveApi,
  container: Container,
  { node, vmid }: { readonly node: string; readonly vmid: number },
  signal: AbortSignal | undefined,
): Promise<ModeChoice> {
  const { config, status } = await api.guestDetail(node, vmid, { signal });
  const volumes = config.mounts.flatMap(({ key, kind, source, backup }) =>
    kind === 'volume' && backup ? [{ key, storage: storageOf(source) }] : [],
  );
  let types = new Map<string, string>();
  try {
    types = new Map((await api.inspect.storages({ signal })).map((d) => [d.storage, d.type]));
  } catch (error) {
    if (!(error instanceof PveError)) throw error;
  }
  const { mode: wish, storage: target } = container.backup;
  return backupMode({ wish, running: status === 'running', volumes, types, target });
}
