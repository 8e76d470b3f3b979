/** An inventory file in the making: what `init` has found out, before it becomes text. Plain data. */
import type { StorageView } from '../decide/model.ts';
import type { Tls } from './types.ts';

/** A check as it is written in the file. */
export type CheckInput =
  | { readonly tcp: string }
  | { readonly ping: string }
  | {
      readonly http: string | { readonly url: string; readonly status?: number; readonly insecure?: boolean };
    }
  | { readonly dns: { readonly server: string; readonly name: string; readonly type?: string } };

export interface ProposedCheck {
  readonly check: CheckInput;
  /** What it is; a comment behind it. */
  readonly note?: string;
  /** What a person should look at; a comment behind it that says REVIEW. */
  readonly review?: string;
}

export interface DraftContainer {
  readonly name: string;
  readonly vmid: number;
  readonly node: string;
  /** `off`: it was not running, or has no address that could be checked. */
  readonly mode: 'off' | 'observe' | null;
  readonly nodes: readonly string[];
  readonly checks: readonly ProposedCheck[];
  /** Only where the derived ones are taken. */
  readonly vmids: readonly number[];
  /** What it is and what to look at, one line each. */
  readonly remarks: readonly string[];
}

export interface DraftCanary {
  /** `ping:10.0.0.1` */
  readonly canary: string;
  readonly note: string;
  /** Why it gave no answer, so that it is written as a comment; null: it answered. */
  readonly silent: string | null;
}

export interface DraftEndpoint {
  readonly url: string;
  readonly note: string;
  /** Not used, for the reason in `note`: written as a comment. */
  readonly left: boolean;
}

export interface Draft {
  readonly cluster: string;
  readonly standalone: boolean;
  /** Date, `2026-11-23`. */
  readonly date: string;
  readonly endpoints: readonly DraftEndpoint[];
  /** `env:NAME` or `file:PATH`. */
  readonly token: string;
  readonly tls: Tls;
  /** By fingerprint, whose it is. */
  readonly pinned: ReadonlyMap<string, string>;
  readonly canaries: readonly DraftCanary[];
  readonly nodes: readonly string[];
  readonly backupStorage: StorageChoice;
  readonly restoreStorage: StorageChoice;
  readonly containers: readonly DraftContainer[];
  /** `105 debian: it is a template`. */
  readonly leftOut: readonly string[];
}

export interface StorageChoice {
  readonly storage: string;
  /** What speaks against it, or null. */
  readonly review: string | null;
}

/** One container as the cluster shows it. */
export interface SurveyedGuest {
  readonly vmid: number;
  readonly node: string;
  readonly hostname: string;
  readonly running: boolean;
  readonly tags: readonly string[];
  readonly template: boolean;
  readonly lock: string | null;
  readonly managedByHa: boolean;
  /** Why its configuration could not be read; null: it was. */
  readonly problem: string | null;
  readonly onboot: boolean;
  readonly addresses: readonly string[];
  /** An address of it comes from DHCP or the like. */
  readonly dynamic: boolean;
  readonly gateways: readonly string[];
  /** What a token cannot restore, or no backup holds. */
  readonly obstacles: readonly string[];
  /** What answered on its first address. */
  readonly checks: readonly ProposedCheck[];
}

export interface Surveyed {
  /** null: a stand-alone node. */
  readonly cluster: string | null;
  readonly nodes: readonly { readonly name: string; readonly ip: string | null; readonly online: boolean }[];
  readonly storages: readonly StorageView[];
  readonly guests: readonly SurveyedGuest[];
  /** All vmids of the cluster, VMs included. */
  readonly vmids: readonly number[];
  readonly virtualMachines: number;
  readonly canaries: readonly DraftCanary[];
  /** What could not be read, in sentences. */
  readonly problems: readonly string[];
}
