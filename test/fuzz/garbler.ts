/** Answers on their way to a runner that come out as something else, every time the same for the same seed. */
import type { LabResponse } from '../../lib/lab/types.ts';
import { numbers } from '../numbers.ts';
import { bentBytes, bentJson, type Edit } from './edits.ts';

/** Garbles a `share` (0 to 1) of all answers. */
export function garbler(
  share: number,
  seed: number,
): (response: LabResponse, from: 'api' | 'plug') => LabResponse {
  const random = numbers(seed);
  const below = (limit: number): number => Math.floor(random() * limit);
  const edits = (most: number): Edit[] =>
    Array.from({ length: 1 + below(most) }, () => ({
      at: below(2 ** 31),
      how: below(1000),
      what: below(2 ** 31),
    }));
  return (response, from) => {
    if (random() >= share) return response;
    const how = below(10);
    if (how === 0) return { ...response, status: 200 + below(400), statusText: 'garbled' };
    // A plug that says off in so many words while it is on is believed: that is what it is there for.
    if (how < 4 || from === 'plug')
      return { ...response, body: bentBytes(Buffer.from(response.body), edits(2)).toString() };
    return { ...response, body: bentJson(response.body, edits(3)) };
  };
}
