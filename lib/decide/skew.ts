/**
 * Runners on several machines may share a state, so a time in it may be ahead of this machine's by as much as their
 * clocks differ. One that is further ahead was written before a clock was set back.
 */
export const SKEW_MS = 5_000;
