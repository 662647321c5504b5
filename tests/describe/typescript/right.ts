import * as autobahn from "autobahn";
import { call, listen, stream, subscribe, type Item, type OrdersRow, type ProductsRelation, type ProductsEvent, type ProductsRow } from "./api";

declare const process: { argv: string[]; exitCode: number };
const NASTY = "com.example.*/`|<b>\"'${x}.";

/** A topic with a value in it, and several rows in an event. */
export async function statuses(session: autobahn.Session, who: string) {
  const known = new Map<string, string | null>();
  await subscribe(session, `com.example.of.${who}.inserted`, (event) => {
    for (const row of event.rows) if (row.new) known.set(row.id, row.new.status);
  });
  return known;
}

async function main(session: autobahn.Session) {
  const events: [string, string | undefined][] = [];
  const first = new Promise<void>((resolve) => {
    void subscribe(session, "com.example.products.inserted", (event) => {
      events.push([event.op, event.new?.name]);
      resolve();
    });
  });

  const products = [
    { sku: "P-1", name: "pen", price: "1.50", tags: ["blue"] },
    { sku: "P-2", name: "ink", price: "7", tags: [] },
  ];
  const inserted: number = await call(session, "com.example.products.insert")([products], {
    returning: false,
  });
  await first;

  // Whole rows, chosen columns, and what is no plain column.
  const whole: ProductsRow[] = await call(session, "com.example.products.select")([], {
    order: ["id"],
    limit: 10,
  });
  const chosen = await call(session, "com.example.products.select")([{ price: { gte: "1" } }], {
    columns: ["id", "name"],
    order: ["id"],
  });
  const names: string[] = chosen.map((row) => row.name);
  const id: number = chosen[0]!.id;
  const loose = await call(session, "com.example.products.get")([whole[0]!.id], {
    columns: ["name", "sku"] as Item<ProductsRelation>[],
  });
  const maybe: string | undefined = loose.name;

  // By position or by name; a write that answers rows.
  const one: ProductsRow = await call(session, "com.example.products.get")([id]);
  const same: ProductsRow = await call(session, "com.example.products.get")([], { key: one.id });
  const changed = await call(session, "com.example.products.update")([{ stock: 5 }, { id: same.id }],
    { returning: ["id", "stock"] },
    {},
  );
  const stock: number = changed[0]!.stock;

  // A value with keyword results.
  const answer = await call(session, "com.example.products.changes")();
  const seen: ProductsEvent[] = answer.args[0];
  const next: string = answer.kwargs.next;
  await call(session, "com.example.products.changes")([next], { limit: 1 });

  // Overloads, variadic and unnamed arguments, nothing at all.
  const picked: number = await call(session, "com.example.pick")([], { a: 1 });
  const again: number = await call(session, "com.example.pick")(["b", picked]);
  const total: string = await call(session, "com.example.total")([["1.5", "2"]]);
  const nothing: null = await call(session, "com.example.ping")();
  const counted: number = await call(session, "com.example.orders.count")([{ status: "open" }]);
  const page = await call(session, "com.example.orders.select")([], { count: "exact", limit: 1 });
  const all: number | undefined = page.kwargs.count;
  const rowsOfPage: { id: number }[] = page.args[0];
  void [all, rowsOfPage];
  const status = (order: OrdersRow): "open" | "paid" | "shipped" | "canceled" => order.status;

  // A live query: all of its rows, at first and after each change.
  const stocks: [string | null, number | null][][] = [];
  let heard = () => {};
  const live = listen(session, "com.example.low_stock.live")(
    (rows) => {
      stocks.push(rows.map((row) => [row.name, row.stock]));
      heard();
    },
    [10],
  );
  const ended = live.ended.catch((error: autobahn.Error) => error.error);
  const until = (length: number) =>
    new Promise<void>((resolve) => {
      heard = () => stocks.length >= length && resolve();
      heard();
    });
  await until(1);
  await call(session, "com.example.products.update")([{ stock: 1 }, { sku: "P-2" }]);
  await until(2);
  live.cancel();
  const reason: string = await ended;

  await call(session, "com.example.products.update")([{ stock: 2 }, "all"], { max_affected: 9 });
  const gone: number = await call(session, "com.example.products.delete")([], {
    where: { sku: "none" },
    returning: false,
  });

  const nasty = await call(session, `${NASTY}insert` as const)([
    { id: 1, feeling: "so 'so'", "two words": "two", "li\nne": "line", at: { x: 1, "y*/": "y" } },
  ]);
  const word: string | null = nasty[0]!["two words"];
  const upper: string | null | undefined = nasty[0]!.span?.upper;

  // Values in each form that is accepted, and results as they are.
  await call(session, "com.example.products.update")([{ price: 8 }, { price: { lte: 7, neq: "0" } }]);
  const many: number = await call(session, "com.example.many")([1, 2], { a7: 3, a59: 4 });
  const sum: number = await call(session, "com.example.add")([1, "2"]);
  const eight: number = await call(session, "com.example.twice")([4]);
  const word2: string = await call(session, "com.example.twice")(["ha"]);
  const more: string = await call(session, "com.example.total")([1.5, "2", 3]);
  const listed: string = await call(session, "com.example.total")([], { amounts: [1, "2.5"] });
  const origin = await call(session, "com.example.origin")();
  const x: number | null | undefined = origin?.x;
  const pair: { [name: string]: unknown } | null = await call(session, "com.example.pair")();
  const pairs: object[] = await call(session, "com.example.pairs")([], { limit: 1 });
  const numbers: number[] = await call(session, "com.example.numbers")([5], {
    where: { value: { gt: 1 } },
    order: "value.desc",
    limit: 2,
  });
  const cheap = await call(session, "com.example.cheap")(["8.50"], {
    columns: ["name", "label", "price"],
    where: { sku: { like: "P-%" } },
    order: ["name.desc"],
  });
  const label: string | null = cheap[0]!.label;
  const csv: string = await call(session, "com.example.cheap")([9], { format: "csv", columns: "name" });
  const table: string = await call(session, "com.example.products.select")([], {
    format: "csv",
    columns: ["name"],
    order: ["name"],
  });
  const loaded: number = await call(session, "com.example.customers.insert")([], {
    csv: "email,name,country\na@example.com,Anna,SE\n",
  });

  // Related rows, computed columns, parts, casts, aggregates.
  await call(session, "com.example.orders.insert")([{ customer_id: 1 }]);
  const placed = await call(session, "com.example.orders.select")(
    [
      {
        customers: { country: "SE" },
        order_items: null,
        or: [{ status: "open" }, { not: { total: { gt: 100 } } }],
        "placed_at::date": { lte: "2100-01-01" },
      },
    ],
    {
      columns: ["id", "day:placed_at", "total::text"],
      include: {
        customers: { columns: ["name"], where: { name: "Anna" } },
        "lines:order_items": { limit: 1 },
      },
      order: ["customers(name).desc", "id"],
    },
  );
  const who: string | undefined = placed[0]!.customers?.name;
  const day: string = placed[0]!.day;
  const grouped = await call(session, "com.example.orders.select")([], {
    columns: ["status", "orders:count()", "placed_at.min()"],
    order: ["orders.desc"],
  });
  const open: "open" | "paid" | "shipped" | "canceled" = grouped[0]!.status;
  const next2: string | null = (
    await call(session, "com.example.orders.select")([], { after: null, limit: 1, order: ["id"] })
  ).kwargs.next;

  // Progressive results: rows, lines of CSV, what a table is and how it changes.
  const streamed: string[] = [];
  await stream(session, "com.example.products.select")(
    (rows) => streamed.push(...rows.map((row) => row.sku)),
    [{ sku: { like: "P-%" } }],
    { columns: ["sku"], order: ["sku"] },
  ).ended;
  await stream(session, "com.example.products.select")(
    (lines) => streamed.push(lines.trim()),
    [],
    { columns: ["id"], where: { sku: "P-0" }, format: "csv" },
  ).ended;
  await stream(session, "com.example.numbers")((part: number[]) => streamed.push(`${part}`), [2]).ended;
  await stream(session, "com.example.low_stock")((part) => streamed.push(`${part.length}`), [-1]).ended;
  const first2 = new Promise<string>((resolve) => {
    const followed = stream(session, "com.example.products.follow")((item) => {
      for (const row of item.rows ?? []) {
        resolve(row.sku);
        followed.cancel();
      }
      for (const event of item.events ?? []) if (event.op === "insert") known.push(event.new?.sku);
    }, [], { snapshot: true });
    const known: (string | undefined)[] = [];
    followed.ended.catch(() => {});
  });
  const follows: string = await first2;

  // All events of a table, and of a template's topics.
  const heard2: string[] = [];
  const both = new Promise<void>((resolve) => {
    const note = (text: string) => heard2.push(text) === 2 && resolve();
    void subscribe(
      session,
      "com.example.products.",
      (event) => note(event.op === "update" ? `${event.key?.id}` : event.op),
      { match: "prefix" },
    );
    void subscribe(session, "com.example.of..inserted", (event) => note(event.rows[0]!.new!.status!), {
      match: "wildcard",
    }).then(() => call(session, "com.example.parcels.insert")([{ id: 1, status: "sent", who: "b" }]))
      .then(() => call(session, "com.example.products.update")([{ stock: 3 }, { id }]));
  });
  await both;

  void [label, day, open, x, word2, more, table, loaded, next2];
  void [maybe, again, total, nothing, counted, status, upper, stock, gone];
  return {
    inserted,
    names,
    changed: changed.length,
    event: events[0],
    seen: seen.map((event) => event.op),
    stocks,
    reason,
    nasty: word,
    sums: [many, sum, eight, word2, more, listed],
    records: [x, pair, pairs],
    numbers,
    csv,
    who,
    streamed,
    follows,
    heard: heard2.sort(),
  };
}

if (process.argv[2]) {
  const connection = new autobahn.Connection({
    url: process.argv[2],
    realm: "realm1",
    max_retries: 0,
  });
  connection.onopen = (session) => {
    main(session)
      .then((result) => console.log(JSON.stringify(result)))
      .catch((error) => {
        console.error(error);
        process.exitCode = 1;
      })
      .finally(() => connection.close());
  };
  connection.open();
}
