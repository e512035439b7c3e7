// The backend's only source of time. Through CLOCK_DOOR somebody else holds it (docs/reference/clock-door.md).
"use strict";
const net = require("node:net");
const readline = require("node:readline");

let us = null; // microseconds since 1970 while the door is open; null: the machine's clock
let underWay = 0;
const timers = new Map(); // name → { due (ms), ring, handle }

const now = () => new Date(us === null ? Date.now() : Math.floor(us / 1000));

/** Count `work` as under way until it has ended. */
async function busy(work) {
  underWay += 1;
  try {
    return await work();
  } finally {
    underWay -= 1;
  }
}

/** Ring once at `due` (a Date, or null for never); setting the timer `name` again moves it. */
function at(name, due, ring) {
  clearTimeout(timers.get(name)?.handle);
  timers.delete(name);
  if (due === null) return;
  const timer = { due: due.getTime(), ring };
  if (us === null) timer.handle = setTimeout(() => fire(name, timer), Math.min(2 ** 31 - 1, Math.max(0, timer.due - Date.now())));
  timers.set(name, timer);
}

function fire(name, timer) {
  timers.delete(name);
  return busy(timer.ring).catch((why) => console.error("a timer failed:", why.message));
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
async function quiet() {
  for (let turns = 0; turns < 5; turns += 1) {
    await turn();
    if (underWay > 0) turns = -1;
  }
}

async function obey(order) {
  us = order.us;
  await quiet();
  for (;;) {
    const due = [...timers].filter(([, timer]) => timer.due * 1000 <= us);
    if (!order.fire || due.length === 0) break;
    await fire(...due[0]);
    await quiet();
  }
  const left = [...timers.values()].map((timer) => timer.due * 1000);
  return { next: left.length ? Math.min(...left) : null };
}

/** Knock at the door, where there is one; resolves when the time is known. */
function open(path) {
  if (!path) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const door = net.connect(path, () => door.write(JSON.stringify({ hello: "casebook", pid: process.pid }) + "\n"));
    door.on("error", reject);
    let orders = Promise.resolve();
    readline.createInterface({ input: door }).on("line", (line) => {
      const order = JSON.parse(line);
      if (us === null) {
        us = order.us;
        resolve();
        return;
      }
      orders = orders.then(async () => door.write(JSON.stringify(await obey(order)) + "\n"));
    });
  });
}

module.exports = { now, at, busy, open };
