import type { ICallOptions, IEvent, ISubscribeOptions, ISubscription, Session } from "autobahn";

/** bytea: bytes where the serializer has them (cbor, msgpack), else text. */
export type Bytes = Uint8Array | string;

/**
 * A procedure of `Procedures`, to be called as `session.call` does it: with a list of arguments, then
 * arguments by name, then options.
 *
 * `columns`, `include`, `returning`, `count`, `after` and `format` go by name, because the type of
 * the answer depends on them.
 */
export function call<P extends keyof Procedures>(session: Session, procedure: P): Procedures[P] {
  const made: unknown = (args?: unknown[] | null, kwargs?: object | null, options?: ICallOptions) =>
    session.call(procedure, args ?? [], kwargs ?? {}, options);
  return made as Procedures[P];
}

/** A call with progressive results: `ended` has its last result, or the reason why it ended. */
export interface Streaming<Result> {
  ended: Promise<Result>;
  cancel(): void;
}

/**
 * A procedure of `Streams`, whose progressive results go to a handler; the rest is as with `call`.
 *
 * autobahn-js hands none over where the connection has `use_es6_promises`.
 */
export function stream<P extends keyof Streams>(session: Session, procedure: P): Streams[P] {
  const made: unknown = (
    handler: (part: unknown) => void,
    args?: unknown[] | null,
    kwargs?: object | null,
    options?: ICallOptions,
  ): Streaming<unknown> => {
    const calling = session.call(procedure, args ?? [], kwargs ?? {}, {
      ...options,
      receive_progress: true,
    });
    const ended: unknown = calling.then(null, null, handler);
    // Without a mode autobahn-js forgets the call, and ends the session over the router's answer.
    const { cancel } = calling as unknown as { cancel(options: { mode: "kill" }): void };
    return { ended: ended as Promise<unknown>, cancel: () => cancel({ mode: "kill" }) };
  };
  return made as Streams[P];
}

/** An item of a live query: the whole result, or how it differs from the one before. */
export type Live<Row> =
  | { rows: Row[] }
  | { rows?: undefined; removed: number[]; inserted: [place: number, row: Row][] };

/** The rows after an item of a live query, from those before it. */
export function fold<Row>(rows: Row[], item: Live<Row>): Row[] {
  if (item.rows) return item.rows;
  const removed = new Set(item.removed);
  const next = rows.filter((_, place) => !removed.has(place));
  for (const [place, row] of item.inserted) next.splice(place, 0, row);
  return next;
}

/** A live query of `LiveQueries`; its handler gets all rows, now and whenever they have changed. */
export function listen<P extends keyof LiveQueries>(session: Session, procedure: P): LiveQueries[P] {
  const made: unknown = (handler: (rows: unknown[]) => void, ...request: unknown[]) => {
    let rows: unknown[] = [];
    const each = (item: Live<unknown>) => {
      rows = fold(rows, item);
      handler(rows);
    };
    const streaming: unknown = stream(session, procedure as never);
    return (streaming as (...request: unknown[]) => Streaming<never>)(each, ...request);
  };
  return made as LiveQueries[P];
}

/**
 * `session.subscribe`: to a topic of `Topics`, or with `match` to all topics that begin with one of
 * `Prefixes`, or that fit one of `Patterns`.
 */
export function subscribe<T extends keyof Topics>(
  session: Session,
  topic: T,
  handler: (event: Topics[T], details: IEvent | undefined) => void,
  options?: ISubscribeOptions & { match?: "exact" },
): Promise<ISubscription>;
export function subscribe<T extends keyof Prefixes>(
  session: Session,
  topic: T,
  handler: (event: Prefixes[T], details: IEvent | undefined) => void,
  options: ISubscribeOptions & { match: "prefix" },
): Promise<ISubscription>;
export function subscribe<T extends keyof Patterns>(
  session: Session,
  topic: T,
  handler: (event: Patterns[T], details: IEvent | undefined) => void,
  options: ISubscribeOptions & { match: "wildcard" },
): Promise<ISubscription>;
export function subscribe(
  session: Session,
  topic: string,
  handler: (event: never, details: IEvent | undefined) => void,
  options?: ISubscribeOptions,
): Promise<ISubscription> {
  const subscription: unknown = session.subscribe<unknown[], never>(
    topic,
    (_args, event, details) => handler(event as never, details),
    options,
  );
  return subscription as Promise<ISubscription>;
}
