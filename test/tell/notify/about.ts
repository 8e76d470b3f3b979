import type { Notice } from '../../../lib/tell/notify/notices.ts';

export const NOW = Date.UTC(2026, 10, 22, 12);

/** A notice that a service is down, but for what is said otherwise. */
export function about(title: string, more: Partial<Notice> = {}): Notice {
  return {
    key: title,
    at: NOW,
    topic: 'down',
    urgency: 'warning',
    container: 'web',
    title,
    text: '',
    ...more,
  };
}
