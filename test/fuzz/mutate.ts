/** Arbitraries of genuine samples that were edited. */
import * as fc from 'fast-check';
import { bentBytes, bentJson, editLines, type Edit } from './edits.ts';

const edit: fc.Arbitrary<Edit> = fc.record({ at: fc.nat(), how: fc.nat(999), what: fc.nat() });

/** One to four of them. */
export const edits = fc.array(edit, { minLength: 1, maxLength: 4 });
/** Mostly none, so that what is read is not refused for its first byte. */
export const rarely: fc.Arbitrary<Edit[]> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Edit[]>([]) },
  fc.array(edit, { minLength: 1, maxLength: 3 }),
);

function bytesOf(sample: string | Buffer): Buffer {
  return typeof sample === 'string' ? Buffer.from(sample) : sample;
}

/** Mutated JSON texts: mostly still JSON, sometimes not even text. */
export function mutatedJson(samples: readonly string[]): fc.Arbitrary<Buffer> {
  const others = samples.map(bytesOf);
  return fc
    .record({
      sample: fc.nat(samples.length - 1),
      tree: edits,
      raw: rarely,
    })
    .map(({ sample, tree, raw }) =>
      bentBytes(Buffer.from(bentJson(samples[sample] ?? '', tree)), raw, others),
    );
}

/** Mutated texts that are made of lines. */
export function mutatedLines(samples: readonly string[]): fc.Arbitrary<Buffer> {
  const others = samples.map(bytesOf);
  return fc
    .record({
      sample: fc.nat(samples.length - 1),
      lines: edits,
      raw: rarely,
    })
    .map(({ sample, lines, raw }) => {
      const changed = (samples[sample] ?? '').split('\n');
      for (const one of lines) editLines(changed, one);
      return bentBytes(Buffer.from(changed.join('\n')), raw, others);
    });
}

/** Mutated bytes of anything. */
export function mutatedBytes(samples: readonly (string | Buffer)[]): fc.Arbitrary<Buffer> {
  const all = samples.map(bytesOf);
  return fc
    .record({ sample: fc.nat(samples.length - 1), raw: edits })
    .map(({ sample, raw }) => bentBytes(all[sample] ?? Buffer.alloc(0), raw, all));
}
