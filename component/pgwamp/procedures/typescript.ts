import type { ICallOptions, IEvent, ISubscribeOptions, ISubscription, Session } from "autobahn";

/** bytea: bytes where the serializer has them (cbor, msgpack), else text. */
export type Bytes = Uint8Array | string;

/** What every change of a table carries. */
interface Change {
  id: number;
  /** Goes to `changes` as `since`, to go on after this event. */
  cursor: string;
  schema: string;
  table: string;
  at: string;
  xid: string;
}

/** An event that is too large to publish comes without its values. */
type Whole<Values> =
  | (Values & { truncated?: undefined })
  | ({ [Name in keyof Values]?: undefined } & { truncated: true });

export type Inserted<Row> = Change & { op: "insert"; key: Partial<Row> } & Whole<{ new: Row }>;
export type Updated<Row> = Change & {
  op: "update";
  key: Partial<Row>;
  changed: (keyof Row)[];
} & Whole<{ new: Row; old: Partial<Row> }>;
export type Deleted<Row> = Change & { op: "delete"; key: Partial<Row> } & Whole<{ old: Row }>;
export type Truncated = Change & { op: "truncate" };
export type Changed<Row> = Inserted<Row> | Updated<Row> | Deleted<Row> | Truncated;

/** Several changes in one event, the last of which `id` and `cursor` are of. */
export type Batch<Event extends Change & { op: string }> = Pick<
  Event,
  "id" | "cursor" | "schema" | "table" | "op"
> & { rows: Single<Event>[] };

/** Of each member of a union. */
type Single<Event> = Event extends unknown
  ? Omit<Event, "cursor" | "schema" | "table" | "op">
  : never;

/** An event of `wamp.publish`, as `changes` answers it. */
export type Published = { op: "publish"; topic: string } & Omit<Change, "schema" | "table"> &
  Whole<{ args: unknown[]; kwargs: { [name: string]: unknown } }>;

/** How Autobahn hands over a value that has keyword results beside it. */
export interface WithKeywords<Value, Keywords> {
  args: [Value];
  kwargs: Keywords;
}

interface Described {
  names: string[];
  arguments: object;
  result: unknown;
  keywords?: object;
}

/** Arguments that change the type of the answer: they are given by name. */
type Shaping = "columns" | "include" | "returning" | "count" | "after";

type OneOf<D> = D extends Described ? Split<D["names"], D["arguments"]> : never;

/** Each way to give the first arguments by position and the others by name. */
type Split<Names, Named, Given extends unknown[] = []> =
  | (Extract<keyof Named, `$${number}`> extends never ? Pair<Given, Named> : never)
  | (Names extends [infer Name extends Exclude<keyof Named, Shaping>, ...infer Others]
      ? Split<Others, Omit<Named, Name>, [...Given, Exclude<Named[Name], undefined>]>
      : never);

type Pair<Given extends unknown[], Named> = {} extends Named
  ? Given extends []
    ? [args?: [] | null, kwargs?: Exact<Named> | null, options?: ICallOptions]
    : [args: Given, kwargs?: Exact<Named> | null, options?: ICallOptions]
  : [args: Given, kwargs: Named, options?: ICallOptions];

type Exact<Named> = keyof Named extends never ? Record<string, never> : Named;

/** The type of an answer, from the arguments that shape it. */
type Answer<D, Columns, Include, Returning, Counted> = D extends Described
  ? Returning extends false
    ? number
    : Worded<D, Rows<D["result"], Columns, Include, Returning>, Counted>
  : never;

type Worded<D, Value, Counted> = D extends { keywords: infer Keywords }
  ? {} extends Keywords
    ? Counted extends undefined
      ? Value
      : WithKeywords<Value, Keywords>
    : WithKeywords<Value, Keywords>
  : Value;

type Rows<Result, Columns, Include, Returning> = Result extends (infer Row)[]
  ? Shaped<Row, Columns, Include, Returning>[]
  : Shaped<Result, Columns, Include, Returning>;

type Shaped<Row, Columns, Include, Returning> = Row extends object
  ? Chosen<Row, Returning extends readonly string[] ? Returning : Columns> &
      (Include extends undefined ? unknown : { [name: string]: unknown })
  : Row;

/** A row of the columns named; what is no plain column of the row is unknown. */
type Chosen<Row, Columns> = Columns extends undefined
  ? Row
  : Columns extends readonly (keyof Row)[]
    ? Pick<Row, Columns[number]>
    : Partial<Row> & { [name: string]: unknown };

/**
 * `session.call`, with the types of `Procedures`.
 *
 * Arguments go by position or by name, as everywhere in WAMP; `columns`, `include` and
 * `returning`, `count` and `after` go by name, because the type of the answer depends on them.
 */
export function call<
  P extends keyof Procedures,
  const Columns = undefined,
  const Include = undefined,
  const Returning = undefined,
  const Counted = undefined,
>(
  session: Session,
  procedure: P,
  ...request: OneOf<Procedures[P]> &
    [
      args?: unknown,
      kwargs?: {
        columns?: Columns;
        include?: Include;
        returning?: Returning;
        count?: Counted;
        after?: Counted;
      } | null,
      options?: ICallOptions,
    ]
): Promise<Answer<Procedures[P], Columns, Include, Returning, Counted>> {
  const [args, kwargs, options] = request as [unknown[]?, object?, ICallOptions?];
  const answer: unknown = session.call(procedure, args ?? [], kwargs ?? {}, options);
  return answer as Promise<Answer<Procedures[P], Columns, Include, Returning, Counted>>;
}

/** `session.subscribe` to one topic of `Topics`. */
export function subscribe<T extends keyof Topics>(
  session: Session,
  topic: T,
  handler: (event: Topics[T], details: IEvent | undefined) => void,
  options?: ISubscribeOptions,
): Promise<ISubscription> {
  const subscription: unknown = session.subscribe<unknown[], Topics[T]>(
    topic,
    (_args, event, details) => handler(event as Topics[T], details),
    options,
  );
  return subscription as Promise<ISubscription>;
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

type LiveRow<D> = D extends { live: infer Row } ? Row : never;
type LiveQuery = {
  [P in keyof Procedures]: [LiveRow<Procedures[P]>] extends [never] ? never : P;
}[keyof Procedures];

/** A call of a live query: `ended` is rejected with the reason when it is over. */
export interface Listening {
  ended: Promise<never>;
  cancel(): void;
}

/** Call a live query, and give `handler` all of its rows, now and whenever they have changed. */
export function listen<P extends LiveQuery>(
  session: Session,
  procedure: P,
  handler: (rows: LiveRow<Procedures[P]>[]) => void,
  ...request: OneOf<Procedures[P]>
): Listening {
  type Row = LiveRow<Procedures[P]>;
  const [args, kwargs, options] = request as [unknown[]?, object?, ICallOptions?];
  let rows: Row[] = [];
  const calling = session.call<never>(procedure, args ?? [], kwargs ?? {}, {
    ...options,
    receive_progress: true,
  });
  const ended: unknown = calling.then(null, null, (item) => {
    rows = fold(rows, item as Live<Row>);
    handler(rows);
  });
  // Without a mode autobahn-js forgets the call, and ends the session over the router's answer.
  const { cancel } = calling as unknown as { cancel(options: { mode: "kill" }): void };
  return { ended: ended as Promise<never>, cancel: () => cancel({ mode: "kill" }) };
}
