/** What a relation is made of; each has an interface of its own below. */
export interface Relation {
  row: object;
  /** Names of columns, computed ones too, whose values are text, and may be given as numbers as well. */
  exact: string;
  computed: object;
  /** Keys of `include`: the relation that one leads to, and whether to one row or to many. */
  related: object;
}
export interface One<T extends Relation> {
  one: T;
}
export interface Many<T extends Relation> {
  many: T;
}

export type AnyRow = { [name: string]: unknown };
/** A relation of which nothing is known here. */
export interface AnyRelation {
  row: AnyRow;
  exact: never;
  computed: {};
  related: { [name: string]: Many<AnyRelation> };
}

/** Rows of a function, of no relation. */
export interface RowsOf<Row extends object, Exact extends string> {
  row: Row;
  exact: Exact;
  computed: {};
  related: {};
}

type Name<T extends Relation> = (keyof T["row"] | keyof T["computed"]) & string;
type Value<T extends Relation, N extends Name<T>> = N extends keyof T["row"]
  ? T["row"][N]
  : N extends keyof T["computed"]
    ? T["computed"][N]
    : never;
/** A column, or a part, a cast or an aggregate of one. */
type Term<T extends Relation> = Name<T> | `${Name<T>}${"->" | "::" | "."}${string}` | "count()";
/** What `columns` and `returning` may name. */
export type Item<T extends Relation> = "*" | Term<T> | `count()::${string}` | `${string}:${Term<T>}`;
type Items<T extends Relation> = Item<T> | readonly Item<T>[];
/** The items of `columns`, each as a type. */
type Each<C> = C extends readonly (infer I)[] ? I : C;
/** What an item is called in the answer; a cast keeps the name of its column. */
type Label<I> = I extends `${infer A}:${infer Rest}` ? (Rest extends `:${string}` ? never : A) : "count";
type Order<T extends Relation, C> =
  | Name<T>
  | `${Name<T>}${"->" | "::" | "."}${string}`
  | `${keyof T["related"] & string}${"(" | "!"}${string}`
  | Label<Each<C>>
  | `${Label<Each<C>>}.${string}`;
type Orders<T extends Relation, C> = Order<T, C> | readonly Order<T, C>[];

/* ---- Conditions ---- */

/** A value of a column as a condition takes it: numbers may be given as text, too. */
type Operand<V> = V extends string | boolean ? V : V extends number ? number | `${number}` : unknown;
type Some<V> = V | { any: readonly V[] } | { all: readonly V[] };
type Search = Some<string> | { query: string; config?: string };
interface Operators<V> {
  eq?: Some<V> | null;
  neq?: Some<V> | null;
  gt?: Some<V>;
  gte?: Some<V>;
  lt?: Some<V>;
  lte?: Some<V>;
  isdistinct?: V | null;
  between?: readonly [lower: V, upper: V];
  in?: readonly (V | null)[];
  is?: null | boolean | "unknown";
  like?: Some<string>;
  ilike?: Some<string>;
  match?: Some<string>;
  imatch?: Some<string>;
  fts?: Search;
  plfts?: Search;
  phfts?: Search;
  wfts?: Search;
  contains?: unknown;
  contained_by?: unknown;
  overlaps?: unknown;
  left_of?: unknown;
  right_of?: unknown;
  not_left_of?: unknown;
  not_right_of?: unknown;
  adjacent?: unknown;
  has_key?: Some<string>;
  not?: Condition<V>;
}
/** What `where` asks of one column; of a type with parts it is not checked. */
export type Condition<V> = unknown extends V ? unknown : V | null | readonly (V | null)[] | Operators<V>;
type Asked<T extends Relation, N extends Name<T>> = Condition<
  Operand<NonNullable<Value<T, N>>> | (N extends T["exact"] ? number : never)
>;
type Target<R> = R extends One<infer T extends Relation>
  ? T
  : R extends Many<infer T extends Relation>
    ? T
    : never;

/** What `where` takes: columns, parts and casts of them, related rows, `and`, `or`, `not`. */
export type Where<T extends Relation> = { [N in Name<T>]?: Asked<T, N> } & {
  [R in Exclude<keyof T["related"], Name<T>>]?: Where<Target<T["related"][R]>> | null;
} & { [J in Exclude<"and" | "or", Name<T>>]?: readonly Where<T>[] } & {
  [J in Exclude<"not", Name<T>>]?: Where<T>;
} & { [name: `${string}${"->" | "::" | "!" | "."}${string}`]: unknown };

/* ---- Related rows ---- */

/** What one entry of `include` asks of the related rows. */
export interface Related<T extends Relation> {
  columns?: Items<T>;
  where?: Where<T>;
  order?: Orders<T, string>;
  limit?: number;
  offset?: number;
  include?: Include<T>;
  inner?: boolean;
  spread?: boolean;
}
/** A key of `include`; with an alias, a hint or a schema only the server knows it. */
type Key<T extends Relation> = (keyof T["related"] & string) | `${string}${":" | "!" | "."}${string}`;
export type Include<T extends Relation> = {
  [R in keyof T["related"]]?: Related<Target<T["related"][R]>>;
} & { [key: `${string}${":" | "!" | "."}${string}`]: Related<AnyRelation> };
/** The rows under a key of `include`; which columns they have its entry says. */
type Included<T extends Relation, K> = K extends keyof T["related"]
  ? T["related"][K] extends One<infer R extends Relation>
    ? Loose<R["row"]> | null
    : T["related"][K] extends Many<infer R extends Relation>
      ? Loose<R["row"]>[]
      : unknown
  : unknown;
type Loose<Row> = { [N in keyof Row]?: Row[N] } & { [name: string]: unknown };

/* ---- Answers ---- */

/** How Autobahn hands over a value that has keyword results beside it. */
export interface WithKeywords<V, Keywords> {
  args: [V];
  kwargs: Keywords;
}

/** A row of the columns asked for; what no column stands behind is unknown. */
type Chosen<T extends Relation, C> = [C] extends [undefined]
  ? T["row"]
  : [Item<T>] extends [Each<C>]
    ? Loose<T["row"]>
    : [Each<C>] extends [keyof T["row"]]
      ? Pick<T["row"], Each<C>>
      : ("*" extends Each<C> ? T["row"] : unknown) & {
          [I in Each<C> as I extends Name<T> ? I : never]: I extends Name<T> ? Value<T, I> : never;
        } & {
          [I in Each<C> as I extends `${string}:${Name<T>}` ? Label<I> : never]: I extends `${string}:${infer N extends Name<T>}`
            ? Value<T, N>
            : never;
        } & ([Each<C>] extends ["*" | Name<T> | `${string}:${Name<T>}`] ? unknown : { [name: string]: unknown });

/** A row of an answer, with related rows under the keys of `include`. */
export type Shaped<T extends Relation, C, K extends string> = [K] extends [never]
  ? Chosen<T, C>
  : string extends K
    ? Loose<T["row"]>
    : Beside<Chosen<T, C>, K & keyof T["row"]> & { [P in K as Called<P>]: Included<T, P> } & { [name: string]: unknown };
/** A foreign key's column gives its place to the row that it leads to. */
type Beside<Row, Taken extends PropertyKey> = [Taken] extends [never] ? Row : Omit<Row, Taken>;
type Called<K extends string> = K extends `${infer A}:${string}` ? A : K;

type Count = "exact" | "planned" | "estimated" | boolean;
type Paged<V, N, A> = [N, A] extends [undefined | false, undefined]
  ? V
  : WithKeywords<
      V,
      ([N] extends [undefined | false] ? unknown : { count: number }) &
        ([A] extends [undefined] ? unknown : { next: string | null })
    >;

