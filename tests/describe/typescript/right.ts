import * as autobahn from "autobahn";
import { call, listen, subscribe, type Changed, type OrdersRow, type ProductsRow } from "./api";

declare const process: { argv: string[]; exitCode: number };
const NASTY = "com.example.*/`|<b>\"'${x}.";

/** A topic with a value in it, and several rows in an event. */
export async function statuses(session: autobahn.Session, who: string) {
  const known = new Map<number, string | null>();
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
  const inserted: number = await call(session, "com.example.products.insert", [products], {
    returning: false,
  });
  await first;

  // Whole rows, chosen columns, and what is no plain column.
  const whole: ProductsRow[] = await call(session, "com.example.products.select", [], {
    order: ["id"],
    limit: 10,
  });
  const chosen = await call(session, "com.example.products.select", [{ price: { gte: "1" } }], {
    columns: ["id", "name"],
    order: ["id"],
  });
  const names: string[] = chosen.map((row) => row.name);
  const id: number = chosen[0]!.id;
  const loose = await call(session, "com.example.products.get", [whole[0]!.id], {
    columns: ["name", "sku"] as string[],
  });
  const maybe: string | undefined = loose.name;

  // By position or by name; a write that answers rows.
  const one: ProductsRow = await call(session, "com.example.products.get", [id]);
  const same: ProductsRow = await call(session, "com.example.products.get", [], { key: one.id });
  const changed = await call(
    session,
    "com.example.products.update",
    [{ stock: 5 }, { id: same.id }],
    { returning: ["id", "stock"] },
    {},
  );
  const stock: number = changed[0]!.stock;

  // A value with keyword results.
  const answer = await call(session, "com.example.products.changes");
  const seen: Changed<ProductsRow>[] = answer.args[0];
  const next: string = answer.kwargs.next;
  await call(session, "com.example.products.changes", [next], { limit: 1 });

  // Overloads, variadic and unnamed arguments, nothing at all.
  const picked: number = await call(session, "com.example.pick", [], { a: 1 });
  const again: number = await call(session, "com.example.pick", ["b", picked]);
  const total: string = await call(session, "com.example.total", [["1.5", "2"]]);
  const nothing: null = await call(session, "com.example.ping");
  const counted: number = await call(session, "com.example.orders.count", [{ status: "open" }]);
  const page = await call(session, "com.example.orders.select", [], { count: "exact", limit: 1 });
  const all: number | undefined = page.kwargs.count;
  const rowsOfPage: { id: number }[] = page.args[0];
  void [all, rowsOfPage];
  const status = (order: OrdersRow): "open" | "paid" | "shipped" | "canceled" => order.status;

  // A live query: all of its rows, at first and after each change.
  const stocks: [string | null, number | null][][] = [];
  let heard = () => {};
  const live = listen(
    session,
    "com.example.low_stock.live",
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
  await call(session, "com.example.products.update", [{ stock: 1 }, { sku: "P-2" }]);
  await until(2);
  live.cancel();
  const reason: string = await ended;

  await call(session, "com.example.products.update", [{ stock: 2 }, "all"], { max_affected: 9 });
  const gone: number = await call(session, "com.example.products.delete", [], {
    where: { sku: "none" },
    returning: false,
  });

  const nasty = await call(session, `${NASTY}insert` as const, [
    { id: 1, feeling: "so 'so'", "two words": "two", "li\nne": "line", at: { x: 1, "y*/": "y" } },
  ]);
  const word: string | null = nasty[0]!["two words"];
  const upper: string | null | undefined = nasty[0]!.span?.upper;

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
