import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { guestsAt } from '../../lib/decide/at-vmid.ts';
import type { GuestView } from '../../lib/decide/model.ts';

function guest(vmid: number, node: string): GuestView {
  return {
    vmid,
    node,
    type: 'lxc',
    name: `ct-${vmid}`,
    status: 'running',
    tags: [],
    lock: null,
    template: false,
    memMax: null,
  };
}

test('the same as going through the list, however long it is, and when it has grown', () => {
  const some = (most: number): fc.Arbitrary<number[]> =>
    fc.array(fc.integer({ min: 100, max: 160 }), { maxLength: most, size: 'max' });
  fc.assert(
    fc.property(some(90), some(5), (first, more) => {
      const view = { guests: first.map((vmid, n) => guest(vmid, `pve${n}`)) };
      const check = (): void => {
        for (let vmid = 100; vmid <= 160; vmid += 1)
          assert.deepEqual(
            guestsAt(view, vmid),
            view.guests.filter((g) => g.vmid === vmid),
          );
      };
      check();
      for (const vmid of more) view.guests.push(guest(vmid, 'later'));
      check();
      // As addDetails does it, after it has added something.
      view.guests.sort((a, b) => a.vmid - b.vmid);
      for (const one of view.guests) assert.ok(guestsAt(view, one.vmid).includes(one));
    }),
  );
});
