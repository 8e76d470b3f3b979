/**
 * undici, for code that loads it only when a request is made: `await import('./undici.ts')`. A detour, since undici is
 * CommonJS, and the bundle knows no names of a CommonJS package that is imported dynamically.
 */
export { request } from 'undici';
