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
