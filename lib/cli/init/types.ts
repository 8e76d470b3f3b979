import type { Asker } from '../ask.ts';
import type { Invocation } from '../command.ts';

/** The flags of `init`. What is undefined is asked for, or missing. */
export interface InitFlags {
  readonly endpoint: readonly string[];
  readonly token: string | undefined;
  readonly fingerprint: string | undefined;
  readonly ca: string | undefined;
  readonly systemRoots: boolean;
  readonly cluster: string | undefined;
  readonly backupStorage: string | undefined;
  readonly restoreStorage: string | undefined;
  /** Further ports to look at. */
  readonly ports: readonly number[];
  readonly skipPorts: boolean;
  readonly dryRun: boolean;
}

export interface InitContext {
  readonly flags: InitFlags;
  /** The inventory folder; it may not exist yet. Absolute. */
  readonly dir: string;
  readonly invocation: Invocation;
  /** null: there is nobody to ask. */
  readonly asker: Asker | null;
  /** Progress and remarks, one sentence each. */
  readonly tell: (text: string) => void;
}
