/** Puts what is worth telling into the outbox, and sends what is in it. */
import type { Clock } from '../../clock.ts';
import { messageOf } from '../../errors.ts';
import type { NotifyTarget } from '../../inventory/types.ts';
import { redact } from '../../redact.ts';
import type { OutboxStore } from '../../state/outbox.ts';
import { plainText } from '../../text.ts';
import { deliver, type DeliverRuntime } from './deliver.ts';
import { composeMessage } from './message.ts';
import type { Notice } from './notices.ts';

const TEXT_MAX = 2000;

export interface Notifier {
  /** Durable when it returns; never throws: that people can't be told must not stop a failover. */
  add(notices: readonly Notice[]): void;
  /** As `add`, for what should have been told before; the first time ever it is only remembered. */
  recover(notices: readonly Notice[]): void;
  /** Sends what is due, one message per target; what fails waits in the outbox. Never rejects. */
  flush(signal?: AbortSignal): Promise<void>;
  /** What has gone wrong since this was last asked, in sentences. */
  failures(): readonly string[];
}

export interface NotifierDeps {
  readonly targets: readonly NotifyTarget[];
  readonly outbox: OutboxStore;
  readonly runtime: DeliverRuntime & { readonly clock: Clock };
}

export function createNotifier({ targets, outbox, runtime }: NotifierDeps): Notifier {
  const failures: string[] = [];
  let last: Promise<void> = Promise.resolve();

  async function flushNow(signal: AbortSignal | undefined): Promise<void> {
    if (targets.length === 0) return;
    const due = outbox.take(targets);
    await Promise.all(
      targets.map(async (target) => {
        const own = due.filter((entry) => entry.target === target.name);
        if (own.length === 0) return;
        try {
          await deliver(target, composeMessage(own.map((entry) => entry.notice)), runtime, signal);
          outbox.settle(own, null);
        } catch (error) {
          const why = messageOf(error);
          failures.push(why);
          for (const { notice } of outbox.settle(own, why))
            failures.push(`${target.name} was never told: ${notice.title}`);
        }
      }),
    );
  }

  function put(notices: readonly Notice[], silent: () => boolean): void {
    if (targets.length === 0 || notices.length === 0) return;
    const clean = notices.map((notice) => ({
      ...notice,
      key: redact(notice.key),
      title: plainText(redact(notice.title), 200),
      text: plainText(redact(notice.text), TEXT_MAX),
    }));
    try {
      outbox.add(clean, silent() ? [] : targets);
    } catch (error) {
      failures.push(`nobody is told of "${clean[0]?.title ?? ''}": ${messageOf(error)}`);
    }
  }

  return {
    add: (notices) => put(notices, () => false),
    recover: (notices) => put(notices, () => !outbox.exists()),
    flush(signal) {
      // One after the other: what comes up while a message is under way goes with the next.
      last = last
        .then(() => (signal?.aborted === true ? undefined : flushNow(signal)))
        .catch((error: unknown) => void failures.push(messageOf(error)));
      return last;
    },
    failures: () => failures.splice(0),
  };
}
