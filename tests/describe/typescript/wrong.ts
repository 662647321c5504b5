import type { Session } from "autobahn";
import { call, listen, stream, subscribe } from "./api";

export async function main(session: Session) {
  await call(session, "com.example.product.select")(); // wrong: no such procedure
  await call(session, "com.example.products.select")([], { limitt: 5 }); // wrong: no such argument
  await call(session, "com.example.products.select")([], { limit: "5" }); // wrong: no number
  await call(session, "com.example.products.get")(); // wrong: no key
  await call(session, "com.example.products.get")([]); // wrong: no key
  await call(session, "com.example.products.get")(["one"]); // wrong: the key is a number
  await call(session, "com.example.products.get")([1], { key: 1 }); // wrong: given twice
  await call(session, "com.example.products.insert")([{ price: true }]); // wrong: no number
  await call(session, "com.example.products.select")([{ staus: "open" }]); // wrong: no column
  await call(session, "com.example.products.select")([], { where: { staus: 1 } }); // wrong: no column
  await call(session, "com.example.products.select")([{ price: { gt: 1, lower: 2 } }]); // wrong
  await call(session, "com.example.products.select")([{ or: [{ staus: 1 }] }]); // wrong: no column
  await call(session, "com.example.products.select")([{ not: { staus: 1 } }]); // wrong: no column
  await call(session, "com.example.orders.select")([{ customers: { contry: "SE" } }]); // wrong
  await call(session, "com.example.orders.select")([{ status: "lost" }]); // wrong: no such label
  await call(session, "com.example.orders.select")([{ status: { in: ["lost"] } }]); // wrong
  await call(session, "com.example.orders.count")([{ staus: "open" }]); // wrong: no column
  await call(session, "com.example.orders.update")([{ status: "open" }, { staus: "" }]); // wrong
  await call(session, "com.example.orders.delete")([{ staus: "open" }]); // wrong: no column
  await call(session, "com.example.orders.delete")(); // wrong: no condition
  await call(session, "com.example.orders.delete")(["every"]); // wrong: the word is "all"
  await call(session, "com.example.orders.select")(["all"]); // wrong: that is for writes
  await call(session, "com.example.orders.select")([], { columns: ["id", "staus"] }); // wrong
  await call(session, "com.example.orders.select")([], { columns: ["staus.max()"] }); // wrong
  await call(session, "com.example.orders.select")([], { columns: ["state:staus"] }); // wrong
  await call(session, "com.example.orders.select")([], { order: ["staus"] }); // wrong: no column
  await call(session, "com.example.orders.select")([], { order: ["staus.desc"] }); // wrong
  await call(session, "com.example.orders.select")([], { include: { custmers: {} } }); // wrong
  await call(session, "com.example.orders.select")([], { include: { customers: { colums: [] } } }); // wrong
  await call(session, "com.example.orders.select")([], { include: { customers: { columns: ["nam"] } } }); // wrong
  await call(session, "com.example.orders.select")([], { include: { customers: { where: { nam: 1 } } } }); // wrong
  await call(session, "com.example.orders.insert")([{}], { returning: ["staus"] }); // wrong
  await call(session, "com.example.products.upsert")([{ sku: "P" }], { conflict: ["skuu"] }); // wrong
  await call(session, "com.example.products.upsert")([{ sku: "P" }], { update: ["skuu"] }); // wrong
  await call(session, "com.example.products.get")([1], { columns: ["skuu"] }); // wrong: no column
  await call(session, "com.example.cheap")([1], { where: { skuu: 1 } }); // wrong: no column
  await call(session, "com.example.cheap")([1], { columns: ["skuu"] }); // wrong: no column
  await call(session, "com.example.numbers")([1], { columns: ["valeu"] }); // wrong: no column
  await call(session, "com.example.pairs")([], { where: {} }); // wrong: nothing declares columns
  await call(session, "com.example.add")([1]); // wrong: one is missing
  await call(session, "com.example.add")([], { $1: 1, $2: 2 }); // wrong: they have no names
  await call(session, "com.example.products.insert")([{ sku: "P", skuu: "P" }]); // wrong: no column
  await call(session, "com.example.products.insert")([], { rows: { sku: "P", skuu: "" } }); // wrong
  await call(session, "com.example.orders.insert")([{ status: "lost" }]); // wrong: no such label
  await call(session, "com.example.ping")([1]); // wrong: takes nothing
  await call(session, "com.example.ping")([], { loud: true }); // wrong: takes nothing
  await call(session, "com.example.pick")([], { a: "one" }); // wrong: no overload takes it
  await call(session, "com.example.pick")([], { b: "b", $2: 1 }); // wrong: $2 has no name

  const rows = await call(session, "com.example.products.select")();
  const price: number = rows[0]!.price; // wrong: numeric is a string
  const chosen = await call(session, "com.example.products.select")([], { columns: ["id"] });
  const name = chosen[0]!.name; // wrong: not among the columns
  const number = await call(session, "com.example.products.insert")([{}], { returning: false });
  const first = number[0]; // wrong: the number of rows
  const answer = await call(session, "com.example.products.changes")();
  const event = answer[0]; // wrong: keyword results come with it

  const csv = await call(session, "com.example.products.select")([], { format: "csv" });
  const line = csv[0]!.id; // wrong: it is one text
  const double: string = await call(session, "com.example.twice")([1]); // wrong: a number for a number
  const counted = await call(session, "com.example.products.select")([], { count: "exact" });
  const after = counted.kwargs.next; // wrong: there is none without after
  const orders = await call(session, "com.example.orders.select")([], { include: { customers: {} } });
  const contry = orders[0]!.customers!.name.length; // wrong: whether it has a name its columns say
  await call(session, "com.example.products.follow")(); // wrong: it answers progressively
  stream(session, "com.example.products.get")(() => {}, [1]); // wrong: it does not
  stream(session, "com.example.products.select")((part) => part[0]!.skuu); // wrong: no column
  stream(session, "com.example.products.follow")((item) => item.rows[0]); // wrong: or events
  stream(session, "com.example.products.select")(() => {}, [{ staus: 1 }]); // wrong: no column
  void [csv, line, double, after, contry];
  listen(session, "com.example.low_stock")(() => {}, [10]); // wrong: not the live one
  listen(session, "com.example.low_stock.live")(() => {}); // wrong: an argument is missing
  listen(session, "com.example.low_stock.live")(() => {}, ["ten"]); // wrong: it is a number
  listen(session, "com.example.low_stock.live")((rows) => rows[0]!.skuu, [10]); // wrong: no column

  await subscribe(session, "com.example.customers.inserted", () => {}); // wrong: not watched
  await subscribe(session, "com.example.products.", () => {}); // wrong: a prefix needs match
  await subscribe(session, "com.example.product.", () => {}, { match: "prefix" }); // wrong: no table
  await subscribe(session, "com.example.of..inserted", () => {}, { match: "prefix" }); // wrong
  await subscribe(session, "com.example.products.updated", (updated) => {
    const id: number = updated.new.id; // wrong: a truncated event has no values
    const gone = updated.removed; // wrong: no such key
    return [id, gone];
  });
  return [price, name, first, event];
}
