/** Listening to a signal that thousands of things at once listen to. */

const listeners = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `listener` when `signal` aborts, or now if it has. Returns what takes it away again. An event target goes through
 * all its listeners for each one that comes or goes; this one has a single listener, however many things wait.
 */
export function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) {
    listener();
    return () => undefined;
  }
  let all = listeners.get(signal);
  if (all === undefined) {
    const waiting = new Set<() => void>();
    const callAll = (): void => {
      listeners.delete(signal);
      for (const one of waiting) one();
    };
    signal.addEventListener('abort', callAll, { once: true });
    listeners.set(signal, waiting);
    all = waiting;
  }
  // A function of its own, so that what is given twice is called twice and taken away once.
  const one = (): void => listener();
  all.add(one);
  const set = all;
  return () => void set.delete(one);
}
