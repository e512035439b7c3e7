// Cases and everything that hangs on them. Every change locks its case, and adds one row to the log with its hash.
"use strict";
const crypto = require("node:crypto");
const { Pool, Client } = require("pg");
const clock = require("./clock");
const { planted, PRIORITIES, TIERS, PROMISES, KeptNo, illegal, step, tierFor, promise } = require("./rules");

const MONITOR = "system:sla-monitor";
const LIMITS = { connectionTimeoutMillis: 2000, query_timeout: 4000, keepAlive: true };
const main = new Pool({ connectionString: process.env.DATABASE_URL, max: 8, ...LIMITS });
const book = new Pool({ connectionString: process.env.INCIDENTS_DATABASE_URL || process.env.DATABASE_URL, max: 16, ...LIMITS });
for (const pool of [main, book]) pool.on("error", () => {}); // a connection that idles was cut; the next is new

async function transaction(work) {
  const client = await book.connect();
  try {
    await client.query("begin");
    const done = await work(client);
    await client.query("commit");
    client.release();
    return done;
  } catch (why) {
    await client.query("rollback").then(() => client.release(), () => client.release(true));
    throw why;
  }
}

const sorted = (value) => {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
};

async function append(client, row, who, kind, before, after, payload, at) {
  const event = { incident_id: row.ref, seq: row.head_n + 1, actor: who, at: at.toISOString(), kind, from: before, to: after, payload, prev: row.head_hash };
  const hash = crypto.createHash("sha256").update(JSON.stringify(sorted(event))).digest("hex");
  await client.query("insert into log values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", [row.ref, event.seq, who, at, kind, before, after, payload, event.prev, hash]);
  row.head_n = event.seq;
  row.head_hash = hash;
}

const COLUMNS = ["priority", "priority_at", "state", "tier", "assignee", "cause", "fix", "prevention", "answer_kept_at", "answer_broken_at", "answer_warned", "solve_kept_at", "solve_broken_at", "solve_warned", "watch_at", "head_n", "head_hash", "changed_at"];
async function save(client, row) {
  row.watch_at = watch(row);
  const set = COLUMNS.map((name, index) => `${name} = $${index + 2}`).join(", ");
  await client.query(`update cases set ${set} where ref = $1`, [row.ref, ...COLUMNS.map((name) => row[name])]);
}

/** When somebody must look at its promises next. */
function watch(row) {
  const moments = [];
  for (const name of ["answer", "solve"]) {
    const { due, length, kept, broken } = promise(row, name, row.raised_at);
    if (kept || broken) continue;
    moments.push(row[`${name}_warned`] ? due : new Date(row.raised_at.getTime() + length * 0.8));
  }
  return moments.length ? new Date(Math.min(...moments)) : null;
}

async function lock(client, ref, org) {
  const { rows } = await client.query(`select * from cases where ref = $1 and ($2::uuid is null or org = $2)${planted("unlocked") ? "" : " for update"}`, [ref, org]);
  return rows[0];
}

async function raise(person, org, subject, details, priority) {
  const at = clock.now();
  const row = await transaction(async (client) => {
    const { rows } = await client.query(
      "insert into cases (ref, org, subject, details, priority, assignee, reporter, raised_at, changed_at, priority_at) values ($1, $2, $3, $4, $5, $6, $6, $7, $7, $7) returning *",
      [crypto.randomUUID(), org, subject, details, priority, person.ref, at],
    );
    await append(client, rows[0], person.ref, "created", null, "open", { subject, priority }, at);
    await save(client, rows[0]);
    return rows[0];
  });
  await wake();
  return row;
}

/** Do `change(row, client, at)` on a case under its lock; a KeptNo is kept with the case, which stays as it is. */
async function act(person, ref, action, change) {
  const at = clock.now();
  try {
    const row = await transaction(async (client) => {
      const found = await lock(client, ref, person.org);
      if (!found) return null;
      await change(found, client, at);
      found.changed_at = at;
      await save(client, found);
      return found;
    });
    await wake();
    return row;
  } catch (why) {
    if (why instanceof KeptNo && !planted("noes-not-kept")) {
      const values = [crypto.randomUUID(), ref, person.ref, at, action, why.type, why.message];
      await book.query("insert into noes (ref, case_ref, who, at, action, code, detail) values ($1, $2, $3, $4, $5, $6, $7)", values);
    }
    throw why;
  }
}

async function move(row, client, at, who, action, to, payload) {
  step(row, action, to);
  const before = row.state;
  if (before === "open" && who !== MONITOR) keep(row, "answer", at);
  if (to === "resolved") keep(row, "solve", at);
  if (action === "reopen") row.solve_kept_at = null;
  row.state = to;
  if (planted("assignee-taken") && who !== MONITOR) row.assignee = who;
  await append(client, row, who, action === "reopen" ? "reopened" : to, before, to, payload, at);
}

function keep(row, name, at) {
  if (!row[`${name}_broken_at`] && at <= promise(row, name, at).due) row[`${name}_kept_at`] = at;
}

async function stepUp(row, client, at, who, tier, note) {
  step(row, "escalate", "escalated");
  tierFor(row, tier);
  await move(row, client, at, who, "escalate", "escalated", { tier, ...(note ? { note } : {}) });
  row.tier = tier;
  const values = [crypto.randomUUID(), row.ref, who, at, row.priority, tier, note ?? null];
  await client.query("insert into steps_up (ref, case_ref, who, at, priority, to_tier, note) values ($1, $2, $3, $4, $5, $6, $7)", values);
}

/** Notice what is at risk or broken by now, and carry up what nobody took. */
async function look() {
  const { rows } = await book.query("select ref from cases where watch_at <= $1 order by watch_at, place", [clock.now()]);
  for (const { ref } of rows) {
    await transaction(async (client) => {
      const row = await lock(client, ref, null);
      const at = clock.now();
      for (const name of ["answer", "solve"]) await notice(client, row, name, at);
      await save(client, row);
    });
  }
  await wake();
}

async function notice(client, row, name, at) {
  const { due, length, kept, broken } = promise(row, name, at);
  if (kept || broken) return;
  const payload = { promise: name === "answer" ? "acknowledge" : "resolve", due_at: due.toISOString(), noticed_at: at.toISOString() };
  if (at >= due) {
    row[`${name}_broken_at`] = new Date(Math.max(due, row.priority_at));
    await append(client, row, MONITOR, "sla_breached", null, null, payload, at);
    const tier = TIERS[PRIORITIES.indexOf(row.priority)];
    if (name === "answer" && row.state === "open" && !planted("nobody-called")) await stepUp(row, client, at, MONITOR, tier, null);
  } else if (!row[`${name}_warned`] && at - row.raised_at >= length * 0.8) {
    row[`${name}_warned`] = true;
    await append(client, row, MONITOR, "sla_at_risk", null, null, payload, at);
  }
}

async function wake() {
  const { rows } = await book.query("select min(watch_at) as due from cases");
  clock.at("promises", rows[0].due, look);
}

async function answers(url) {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000, query_timeout: 2000 });
  client.on("error", () => {});
  const limit = new Promise((_, reject) => setTimeout(() => reject(new Error("timeout")), 2000).unref());
  try {
    await Promise.race([client.connect().then(() => client.query("select 1")), limit]);
    return "ok";
  } catch (why) {
    return why.message === "timeout" ? "timeout" : "unreachable";
  } finally {
    client.end().catch(() => {});
  }
}

module.exports = { main, book, raise, act, move, stepUp, append, wake, answers, illegal, PROMISES };
