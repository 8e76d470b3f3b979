/** Tells exactly when a request starts to be written to a connected socket: before that, nothing can have been sent. */
import type { Dispatcher } from 'undici';

/**
 * A dispatcher that calls `started` right before the request is written. Should the library ever want to write one a
 * second time (it may for a pipelined connection that broke), a request that isn't a GET is aborted instead.
 */
export function watchStart(dispatcher: Dispatcher, started: () => void): Dispatcher {
  return dispatcher.compose(
    (dispatch) => (options, handler) => dispatch(options, watched(handler, options.method, started)),
  );
}

function watched(
  handler: Dispatcher.DispatchHandler,
  method: string,
  started: () => void,
): Dispatcher.DispatchHandler {
  let starts = 0;
  return {
    onRequestStart(controller, context: unknown) {
      starts++;
      started();
      handler.onRequestStart?.(controller, context);
      if (starts > 1 && method !== 'GET') controller.abort(new Error('connection lost'));
    },
    onRequestUpgrade: (controller, status, headers, socket) =>
      handler.onRequestUpgrade?.(controller, status, headers, socket),
    onResponseStart: (controller, status, headers, reason) =>
      handler.onResponseStart?.(controller, status, headers, reason),
    onResponseData: (controller, chunk) => handler.onResponseData?.(controller, chunk),
    onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
    onResponseError: (controller, error) => handler.onResponseError?.(controller, error),
  };
}
