/** What every change of a table carries. */
interface Change {
  id: string;
  /** Goes to `changes` and `follow` as `since`, to go on after this event. */
  cursor: string;
  schema: string;
  table: string;
  at: string;
  xid: string;
}

/** An event whose values are too large to publish, or cannot be read, comes without them. */
type Whole<Row, Key, Values> =
  | (Key & Values & { truncated?: undefined })
  | ({ [N in keyof Values]?: undefined } & {
      key?: Partial<Row>;
      changed?: (keyof Row)[];
      truncated: true;
    });

/**
 * `Key` is what tells its row, `Old` are the old values that the table is watched for. With
 * `partition`, and `truncated`, a partition has come with its rows.
 */
export type Inserted<Row, Key> = Change & { op: "insert"; partition?: string } & Whole<
    Row,
    Key,
    { new: Row }
  >;
export type Updated<Row, Key, Old> = Change & { op: "update" } & Whole<
    Row,
    Key & { changed: (keyof Row)[] },
    { new: Row } & Old
  >;
export type Deleted<Row, Key, Old> = Change & { op: "delete" } & Whole<Row, Key, Old>;
/** With `partition` the rows of one partition alone are gone. */
export type Truncated = Change & { op: "truncate"; partition?: string };
/** Changes of a table of which it is not known how it is watched. */
export type Changed<Row> =
  | Inserted<Row, { key?: Partial<Row> }>
  | Updated<Row, { key?: Partial<Row> }, { old?: Partial<Row> }>
  | Deleted<Row, { key?: Partial<Row> }, { old?: Partial<Row> }>
  | Truncated;

/** Several changes in one event, the last of which `id` and `cursor` are of. */
export type Batch<Event extends Change & { op: string }> = Pick<
  Event,
  "id" | "cursor" | "schema" | "table" | "op"
> & { rows: Single<Event>[] };

/** Of each member of a union. */
type Single<Event> = Event extends unknown
  ? Omit<Event, "cursor" | "schema" | "table" | "op">
  : never;

/** An event of `wamp.publish`, as `changes` and `follow` answer it. */
export type Published = { op: "publish"; topic: string } & Omit<Change, "schema" | "table"> &
  (
    | { args: unknown[]; kwargs: { [name: string]: unknown }; truncated?: undefined }
    | { args?: unknown[]; kwargs?: { [name: string]: unknown }; truncated: true }
  );

/** An event of any table, or of `wamp.publish`. */
export type AnyEvent = Changed<AnyRow> | Published;

/** An event that came before the snapshot has ended. */
type Early<Event> = Event extends unknown
  ? Omit<Event, "cursor"> & { cursor?: undefined }
  : never;

/**
 * A progressive result of `follow`: rows of the snapshot, or events and the cursor after them. Until
 * a cursor ends the snapshot, there is none.
 */
export type Followed<Row, Event> =
  | { rows: Row[]; events?: undefined; cursor?: undefined }
  | { rows?: undefined; events: Early<Event>[]; cursor?: undefined }
  | { rows?: undefined; events: Event[]; cursor: string };

/** `changes`: events after a cursor; `next` goes on from there, at once where there are `more`. */
export type Changes<Event> = Plain<
  ["since", "limit"],
  { since?: string; limit?: number },
  WithKeywords<Event[], { next: string; more: boolean }>
>;
/** `follow`: events after a cursor, or all rows and what comes after them, until cancelled. */
export type Follow<Row, Event> = StreamPlain<
  ["since", "snapshot"],
  { since?: string; snapshot?: boolean },
  Followed<Row, Event>
>;
/** `changes` and `follow` of everything under the prefix. */
export type AllChanges = Plain<
  ["since", "limit", "topic"],
  { since?: string; limit?: number; topic?: string },
  WithKeywords<AnyEvent[], { next: string; more: boolean }>
>;
export type AllFollow = StreamPlain<
  ["since", "topic"],
  { since?: string; topic?: string },
  { events: AnyEvent[]; cursor: string }
>;
