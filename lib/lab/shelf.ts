/** One storage that several labs have mounted: a NAS or a backup server beside clusters that know nothing of each other. */
import type { Archive } from './storage.ts';

/** Archives by the name of the storage behind them (`StorageSpec.export`). */
export type Shelves = Map<string, Archive[]>;

/** The same archive under the name that a lab gives to the storage. What is changed of it is changed for all. */
export function asSeen(archive: Archive, storage: string): Archive {
  if (archive.storage === storage) return archive;
  return {
    ...archive,
    storage,
    volid: `${storage}${archive.volid.slice(archive.storage.length)}`,
    get notes() {
      return archive.notes;
    },
    set notes(text) {
      archive.notes = text;
    },
    get protected() {
      return archive.protected;
    },
    set protected(on) {
      archive.protected = on;
    },
    get verification() {
      return archive.verification;
    },
    set verification(result) {
      archive.verification = result;
    },
    get unfinished() {
      return archive.unfinished;
    },
    set unfinished(still) {
      archive.unfinished = still;
    },
  };
}
