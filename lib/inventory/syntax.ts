/** What can be wrong with YAML itself, in our own words. */
import type { YAMLError } from 'yaml';

/**
 * What is wrong and the fix. The parser's own words can contain pieces of the file, and so of a secret: only the kind
 * of error is used.
 */
export function describeSyntax(code: YAMLError['code']): { message: string; fix: string } {
  const [message, fix] = SYNTAX[code] ?? [
    'is not YAML',
    'check quotes, brackets, colons and indentation here',
  ];
  return { message, fix };
}

const SYNTAX: Partial<Record<YAMLError['code'], readonly [string, string]>> = {
  BAD_ALIAS: [
    'is not YAML: this alias has no anchor before it',
    'quote text that begins with * or define the anchor',
  ],
  BAD_DQ_ESCAPE: [
    'is not YAML: unknown escape in double quotes',
    'use single quotes, or write \\\\ for a backslash',
  ],
  BAD_INDENT: ['is not YAML: wrong indentation', 'align it with the lines that it belongs to'],
  BAD_SCALAR_START: ['is not YAML: text can not begin with this character', 'put the text in quotes'],
  BLOCK_AS_IMPLICIT_KEY: [
    'is not YAML: a second `key:` on one line',
    'put it on a line of its own, or quote the text',
  ],
  MISSING_CHAR: [
    'is not YAML: a character is missing here',
    'check for a missing colon, comma, quote or bracket',
  ],
  MULTILINE_IMPLICIT_KEY: ['is not YAML: a key without a colon', 'write `key: value`'],
  MULTIPLE_DOCS: ['holds a second YAML document', 'put it into a file of its own'],
  TAB_AS_INDENT: ['is not YAML: a tab in the indentation', 'indent with spaces'],
  TAG_RESOLVE_FAILED: ['is not YAML: a tag that is not understood', 'quote text that begins with !'],
};

/** Where brackets or indentation nest so deeply that the recursive parser would run out of stack, or undefined. */
export function tooDeep(text: string): number | undefined {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === '[' || c === '{') depth++;
    else if ((c === ']' || c === '}') && depth > 0) depth--;
    // Brackets inside text count too, hence the generous number; dashes nest on one line (`- - - -`).
    if (depth > 500) return i;
  }
  const dashes = /^[ \t]*(?:[-?:][ \t]+){64}/m.exec(text);
  return dashes?.index;
}
