import type { Session } from "autobahn";
import { call, listen, subscribe } from "./api";

export async function main(session: Session) {
  await call(session, "com.example.product.select"); // wrong: no such procedure
  await call(session, "com.example.products.select", [], { limitt: 5 }); // wrong: no such argument
  await call(session, "com.example.products.select", [], { limit: "5" }); // wrong: no number
  await call(session, "com.example.products.get"); // wrong: no key
  await call(session, "com.example.products.get", []); // wrong: no key
  await call(session, "com.example.products.get", ["one"]); // wrong: the key is a number
  await call(session, "com.example.products.get", [1], { key: 1 }); // wrong: given twice
  await call(session, "com.example.products.insert", [{ price: 5 }]); // wrong: numeric is a string
  await call(session, "com.example.products.insert", [{ sku: "P", skuu: "P" }]); // wrong: no column
  await call(session, "com.example.products.insert", [], { rows: { sku: "P", skuu: "" } }); // wrong
  await call(session, "com.example.products.delete"); // wrong: rows are not named
  await call(session, "com.example.products.delete", ["every"]); // wrong: the word is "all"
  await call(session, "com.example.orders.insert", [{ status: "lost" }]); // wrong: no such label
  await call(session, "com.example.ping", [1]); // wrong: takes nothing
  await call(session, "com.example.ping", [], { loud: true }); // wrong: takes nothing
  await call(session, "com.example.pick", [], { a: "one" }); // wrong: no overload takes it
  await call(session, "com.example.pick", [], { b: "b", $2: 1 }); // wrong: $2 has no name

  const rows = await call(session, "com.example.products.select");
  const price: number = rows[0]!.price; // wrong: numeric is a string
  const chosen = await call(session, "com.example.products.select", [], { columns: ["id"] });
  const name = chosen[0]!.name; // wrong: not among the columns
  const number = await call(session, "com.example.products.insert", [{}], { returning: false });
  const first = number[0]; // wrong: the number of rows
  const answer = await call(session, "com.example.products.changes");
  const event = answer[0]; // wrong: keyword results come with it

  listen(session, "com.example.low_stock", () => {}, [10]); // wrong: not the live one
  listen(session, "com.example.low_stock.live", () => {}); // wrong: an argument is missing
  listen(session, "com.example.low_stock.live", () => {}, ["ten"]); // wrong: it is a number
  listen(session, "com.example.low_stock.live", (rows) => rows[0]!.skuu, [10]); // wrong: no column

  await subscribe(session, "com.example.customers.inserted", () => {}); // wrong: not watched
  await subscribe(session, "com.example.products.updated", (updated) => {
    const id: number = updated.new.id; // wrong: a truncated event has no values
    const gone = updated.removed; // wrong: no such key
    return [id, gone];
  });
  return [price, name, first, event];
}
