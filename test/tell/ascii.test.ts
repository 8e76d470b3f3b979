import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUtf8, toAscii } from '../../lib/tell/ascii.ts';

test('what we write has its nearest ASCII, and the words of others a question mark per character', () => {
  assert.equal(toAscii('“a” → b… – it’s 7 %, ✔'), '"a" -> b... - it\'s 7 %, v');
  assert.equal(toAscii('Zürich 🚀'), 'Z?rich ?');
});

test('the first locale that is set says whether it is UTF-8; none says nothing', () => {
  assert.deepEqual(
    [
      {},
      { LANG: 'C' },
      { LANG: 'de_DE.UTF-8' },
      { LC_ALL: 'C.utf8', LANG: 'C' },
      { LC_ALL: 'POSIX', LANG: 'C.UTF-8' },
      { LC_ALL: '', LC_CTYPE: 'C' },
    ].map(isUtf8),
    [true, false, true, true, false, false],
  );
});
