type Args<A extends unknown[]> = A | ([] extends A ? null | [] : never);
/** Progressive results go to a handler: see `stream`. */
export interface Options extends ICallOptions {
  receive_progress?: false;
}

interface Shape<T extends Relation, C, K extends string> {
  columns?: C;
  include?: Include<T> & { [P in K]: unknown };
}
interface Reading<T extends Relation, C, K extends string> extends Shape<T, C, K> {
  where?: Where<T>;
  order?: Orders<T, C>;
  limit?: number;
  offset?: number;
}
type C0<T extends Relation> = Items<T> | undefined;

export interface Select<T extends Relation> {
  <
    const C extends C0<T> = undefined,
    K extends Key<T> = never,
    const N extends Count | undefined = undefined,
    const A extends string | null | undefined = undefined,
    F extends "rows" | "csv" = "rows",
  >(
    args?: [where?: Where<T>] | null,
    kwargs?: (Reading<T, C, K> & { count?: N; after?: A; format?: F }) | null,
    options?: Options,
  ): Promise<F extends "csv" ? string : Paged<Shaped<T, C, K>[], N, A>>;
}
export interface StreamSelect<T extends Relation> {
  <const C extends C0<T> = undefined, K extends Key<T> = never, F extends "rows" | "csv" = "rows">(
    handler: (part: F extends "csv" ? string : Shaped<T, C, K>[]) => void,
    args?: [where?: Where<T>] | null,
    kwargs?: (Reading<T, C, K> & { format?: F }) | null,
    options?: ICallOptions,
  ): Streaming<null>;
}

export interface Get<T extends Relation, G> {
  <const C extends C0<T> = undefined, K extends Key<T> = never>(
    args: [key: G],
    kwargs?: Shape<T, C, K> | null,
    options?: Options,
  ): Promise<Shaped<T, C, K>>;
  <const C extends C0<T> = undefined, K extends Key<T> = never>(
    args: [] | null | undefined,
    kwargs: Shape<T, C, K> & { key: G },
    options?: Options,
  ): Promise<Shaped<T, C, K>>;
}

export interface Counting<T extends Relation> {
  (
    args?: [where?: Where<T>, mode?: "exact" | "planned" | "estimated"] | null,
    kwargs?: { where?: Where<T>; mode?: "exact" | "planned" | "estimated" } | null,
    options?: Options,
  ): Promise<number>;
}

interface Returning<T extends Relation, R, K extends string> {
  returning?: R;
  include?: Include<T> & { [P in K]: unknown };
  order?: Orders<T, R>;
}
type R0<T extends Relation> = Items<T> | boolean | undefined;
type Written<T extends Relation, R, K extends string> = R extends false
  ? number
  : Shaped<T, R extends true ? undefined : R, K>[];
type Rows<G> = G | readonly G[];
interface Missing {
  missing?: "default" | "null";
}

export interface Insert<T extends Relation, G> {
  <const R extends R0<T> = undefined, K extends Key<T> = never>(
    args: [rows: Rows<G>],
    kwargs?: (Returning<T, R, K> & Missing) | null,
    options?: Options,
  ): Promise<Written<T, R, K>>;
  <const R extends R0<T> = undefined, K extends Key<T> = never>(
    args: [] | null | undefined,
    kwargs: Returning<T, R, K> & Missing & { rows: Rows<G> },
    options?: Options,
  ): Promise<Written<T, R, K>>;
  (args: [] | null | undefined, kwargs: { csv: string }, options?: Options): Promise<number>;
}

interface Conflict<T extends Relation, G> extends Missing {
  conflict?: (keyof T["row"] & string) | readonly (keyof T["row"] & string)[];
  resolution?: "merge" | "ignore";
  update?: (keyof G & string) | readonly (keyof G & string)[];
}
export interface Upsert<T extends Relation, G> {
  <const R extends R0<T> = undefined, K extends Key<T> = never>(
    args: [rows: Rows<G>, conflict?: Conflict<T, G>["conflict"], resolution?: "merge" | "ignore"],
    kwargs?: (Returning<T, R, K> & Conflict<T, G>) | null,
    options?: Options,
  ): Promise<Written<T, R, K>>;
  <const R extends R0<T> = undefined, K extends Key<T> = never>(
    args: [] | null | undefined,
    kwargs: Returning<T, R, K> & Conflict<T, G> & { rows: Rows<G> },
    options?: Options,
  ): Promise<Written<T, R, K>>;
  (
    args: [] | null | undefined,
    kwargs: Omit<Conflict<T, G>, "missing"> & { csv: string },
    options?: Options,
  ): Promise<number>;
}

/** Which rows a write affects: all of them only by that word. */
type Affecting<T extends Relation> = Where<T> | "all";
interface Affected {
  max_affected?: number;
}
export interface Update<T extends Relation, G> {
  <const R extends R0<T> = undefined, K extends Key<T> = never>(
    args: [values: G, where: Affecting<T>],
    kwargs?: (Returning<T, R, K> & Affected) | null,
    options?: Options,
  ): Promise<Written<T, R, K>>;
  <const R extends R0<T> = undefined, K extends Key<T> = never>(
    args: [values: G],
    kwargs: Returning<T, R, K> & Affected & { where: Affecting<T> },
    options?: Options,
  ): Promise<Written<T, R, K>>;
  <const R extends R0<T> = undefined, K extends Key<T> = never>(
    args: [] | null | undefined,
    kwargs: Returning<T, R, K> & Affected & ({ values: G; where: Affecting<T> } | { rows: Rows<G> }),
    options?: Options,
  ): Promise<Written<T, R, K>>;
}

export interface Delete<T extends Relation> {
  <const R extends R0<T> = undefined, K extends Key<T> = never>(
    args: [where: Affecting<T>],
    kwargs?: (Returning<T, R, K> & Affected) | null,
    options?: Options,
  ): Promise<Written<T, R, K>>;
  <const R extends R0<T> = undefined, K extends Key<T> = never>(
    args: [] | null | undefined,
    kwargs: Returning<T, R, K> & Affected & { where: Affecting<T> },
    options?: Options,
  ): Promise<Written<T, R, K>>;
}

/* ---- Functions, queries and Python procedures ---- */

/**
 * Each way to give the first arguments by position and the others by name.
 *
 * An argument without a name, `$1`, goes by position alone. A VARIADIC one, `...name`, takes a list
 * or its values one by one.
 */
type Ways<Names, Named, Further> = From<Names, Named, Further, [], never, never>;
/** The ways that begin with what is `Given` for the names `Used`, and those `Found` before. */
type From<Names, Named, Further, Given extends unknown[], Used, Found> = Names extends [
  `...${infer N extends keyof Named & string}`,
]
  ?
      | Found
      | Here<Given, Named, Used, Further>
      | Here<[...Given, Named[N]], Named, Used | N, Further>
      | Here<[...Given, ...Each<Named[N]>[]], Named, Used | N, Further>
  : Names extends [infer N extends keyof Named, ...infer Others]
    ? From<
        Others,
        Named,
        Further,
        [...Given, Exclude<Named[N], undefined>],
        Used | N,
        Found | Here<Given, Named, Used, Further>
      >
    : Found | Here<Given, Named, Used, Further>;
type Here<Given extends unknown[], Named, Used, Further> =
  Exclude<Extract<keyof Named, `$${string}`>, Used> extends never
    ? Way<Given, Omit<Named, Used & keyof Named>, Further>
    : never;
type Way<Given extends unknown[], Named, Further> = {} extends Named
  ? [args: Args<Given>, kwargs?: Exact<Named & Further> | null, options?: Options] | ([] extends Given ? [] : never)
  : [args: Args<Given>, kwargs: Named & Further, options?: Options];
/** Nothing more than its properties, also where there are none. */
type Exact<Named> = keyof Named extends never ? Record<string, never> : Named;

/** A procedure that takes its own arguments, and `Further` ones by name. */
export interface Plain<Names extends string[], Named, Result, Further = {}> {
  (...request: Ways<Names, Named, Further>): Promise<Result>;
}
export interface StreamPlain<Names extends string[], Named, Part, Further = {}> {
  (handler: (part: Part) => void, ...request: Ways<Names, Named, Further>): Streaming<unknown>;
}
/** A live query. */
export interface Listen<Names extends string[], Named, Row> {
  (handler: (rows: Row[]) => void, ...request: Ways<Names, Named, {}>): Streaming<never>;
}

/** What a set is a list of: a row, or a plain value where no columns are asked for. */
type Member<T extends Relation, C, K extends string, V> = [C, K] extends [undefined, never]
  ? V
  : Shaped<T, C, K>;
/** A function that returns one row of `T`, or null. */
export interface ReturnsRow<Names extends string[], Named, T extends Relation> {
  <const C extends C0<T> = undefined, K extends Key<T> = never>(
    ...request: Ways<Names, Named, Reading<T, C, K>>
  ): Promise<Shaped<T, C, K> | null>;
}
/** A function that returns a set of rows of `T`, or of values. */
export interface ReturnsSet<Names extends string[], Named, T extends Relation, V = T["row"]> {
  <
    const C extends C0<T> = undefined,
    K extends Key<T> = never,
    const N extends boolean | "exact" | undefined = undefined,
    F extends "rows" | "csv" = "rows",
  >(
    ...request: Ways<Names, Named, Reading<T, C, K> & { count?: N; format?: F }>
  ): Promise<F extends "csv" ? string : Paged<Member<T, C, K, V>[], N, undefined>>;
}
export interface StreamSet<Names extends string[], Named, T extends Relation, V = T["row"]> {
  <const C extends C0<T> = undefined, K extends Key<T> = never, F extends "rows" | "csv" = "rows">(
    handler: (part: F extends "csv" ? string : Member<T, C, K, V>[]) => void,
    ...request: Ways<Names, Named, Reading<T, C, K> & { format?: F }>
  ): Streaming<null>;
}
