/** What a view lists under one vmid, without going through all of it for each container. Pure. */
import type { ClusterView, GuestDetail, GuestView } from './model.ts';

/** A short list is gone through faster than it is indexed. */
const SHORT = 32;

/**
 * Lists by vmid. An index is kept with its list, and made anew when the list has grown; lists of a view never lose or
 * exchange what is in them.
 */
class ByVmid<T extends { readonly vmid: number }> {
  readonly #indices = new WeakMap<
    readonly T[],
    { readonly length: number; readonly byVmid: ReadonlyMap<number, T[]> }
  >();

  at(list: readonly T[], vmid: number): readonly T[] {
    if (list.length <= SHORT) return list.filter((one) => one.vmid === vmid);
    let index = this.#indices.get(list);
    if (index?.length !== list.length) {
      const byVmid = new Map<number, T[]>();
      for (const one of list) {
        const there = byVmid.get(one.vmid);
        if (there === undefined) byVmid.set(one.vmid, [one]);
        else there.push(one);
      }
      index = { length: list.length, byVmid };
      this.#indices.set(list, index);
    }
    return index.byVmid.get(vmid) ?? [];
  }
}

const guests = new ByVmid<GuestView>();
const details = new ByVmid<GuestDetail>();
const lineages = new ByVmid<ClusterView['lineages'][number]>();

/** Guests of this vmid: one, unless the list is of two moments. */
export function guestsAt(view: Pick<ClusterView, 'guests'>, vmid: number): readonly GuestView[] {
  return guests.at(view.guests, vmid);
}

/** What has been read of guests of this vmid, whichever node they are on. */
export function detailsAt(view: Pick<ClusterView, 'details'>, vmid: number): readonly GuestDetail[] {
  return details.at(view.details, vmid);
}

/** What has been read of the guest there; undefined: nothing. */
export function detailOf(
  view: Pick<ClusterView, 'details'> | undefined,
  { node, vmid }: { readonly node: string; readonly vmid: number },
): GuestDetail | undefined {
  return view === undefined ? undefined : detailsAt(view, vmid).find((d) => d.node === node);
}

/** The lineage lines in the notes of guests of this vmid. */
export function lineagesAt(view: Pick<ClusterView, 'lineages'>, vmid: number): ClusterView['lineages'] {
  return [...lineages.at(view.lineages, vmid)];
}
