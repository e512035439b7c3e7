// Casebook: incidents of schools, told in its own words. `node server.js` with DATABASE_URL, PORT and TOKEN_KEY.
"use strict";
const crypto = require("node:crypto");
const express = require("express");
const clock = require("./clock");
const store = require("./store");
const { planted, PRIORITIES, TIERS, CAUSE_FITS, No, KeptNo, illegal, told, promise } = require("./rules");

const KEY = process.env.TOKEN_KEY;
const ROLES = ["nobody", "member", "staff", "admin", "superadmin"];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const app = express();
app.disable("x-powered-by");
app.use((request, response, next) => {
  clock.busy(() => new Promise((resolve) => response.on("close", resolve)));
  next();
});
app.use((request, _, next) => {
  const speaks = !["POST", "PATCH"].includes(request.method) || request.is("application/json");
  next(speaks ? undefined : new No(415, "NOT_JSON", "send application/json"));
});
const utf8 = new TextDecoder("utf-8", { fatal: true });
app.use(express.json({ limit: "1mb", verify: (_request, _response, bytes) => utf8.decode(bytes) }));

// --- who -------------------------------------------------------------------------------------------------------------
const sign = (text) => crypto.createHmac("sha256", KEY).update(text).digest("base64url");
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const same = (one, other) => one.length === other.length && crypto.timingSafeEqual(Buffer.from(one), Buffer.from(other));
const stranger = () => new No(401, "WHO_ARE_YOU", "log in at /v2/session");

async function who(request) {
  const [head, claims, signature, ...rest] = (request.get("x-auth") || "").split(".");
  if (!signature || rest.length || !same(sign(`${head}.${claims}`), signature)) throw stranger();
  const said = JSON.parse(Buffer.from(claims, "base64url"));
  if (said.exp * 1000 <= clock.now() && !planted("tokens-never-end")) throw stranger();
  const { rows } = await store.main.query("select ref, org, role, mail from people where ref = $1", [said.person]);
  if (!rows.length) throw stranger();
  return rows[0];
}
const least = (role) => async (request, _, next) => {
  request.person = await who(request);
  const enough = ROLES.indexOf(request.person.role) >= ROLES.indexOf(role);
  if (!enough) throw new No(403, "NOT_YOURS", `this takes a ${role}`);
  next();
};

function body(request, allowed) {
  const said = request.body;
  if (said === null || typeof said !== "object" || Array.isArray(said)) throw new No(400, "MALFORMED", "send an object");
  for (const [name, value] of Object.entries(said)) {
    if (!allowed.includes(name)) throw new No(400, "MALFORMED", `${name} is not known here`);
    const text = typeof value === "string" && !value.includes("\0") && value.isWellFormed() && value.length <= 10_000;
    if (value !== null && !text) throw new No(400, "MALFORMED", `${name} is no text that can be kept`);
  }
  return said;
}
const choice = (value, allowed, name) => {
  if (!allowed.includes(value)) throw new No(400, "MALFORMED", `${name} is one of ${allowed.join(", ")}`);
  return value;
};
const said = (value, name) => {
  if (typeof value !== "string" || !value.trim()) throw new No(400, "MALFORMED", `${name} says nothing`);
  return value;
};

app.post("/v2/session", async (request, response) => {
  const { mail, password } = body(request, ["mail", "password"]);
  const { rows } = await store.main.query("select * from people where mail = $1", [mail]);
  const [salt, hash] = (rows[0]?.secret || "-:-").split(":");
  const given = crypto.scryptSync(password || "", salt, 32, { N: 1024 }).toString("hex");
  if (!rows.length || !same(given, hash)) throw new No(401, "WRONG_PASSWORD", "mail and password do not belong together");
  const until = new Date(clock.now().getTime() + 900_000);
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ person: rows[0].ref, exp: until / 1000 })}`;
  response.json({ bearer: `${signed}.${sign(signed)}`, validUntil: until });
});
app.get("/v2/session", least("member"), ({ person }, response) => response.json({ ref: person.ref, org: person.org, role: person.role, mail: person.mail }));
app.get("/healthz", async (_, response) => {
  const urls = { database: process.env.DATABASE_URL, incidents_database: process.env.INCIDENTS_DATABASE_URL || process.env.DATABASE_URL };
  const parts = Object.fromEntries(await Promise.all(Object.entries(urls).map(async ([name, url]) => [name, await store.answers(url)])));
  const well = Object.values(parts).every((part) => part === "ok") || planted("health-lies");
  if (!well) throw new No(503, "SICK", "a store does not answer", { parts });
  response.json({ parts });
});
app.get("/v2/now", (_, response) => response.json({ moment: clock.now() }));

// --- cases -----------------------------------------------------------------------------------------------------------
const none = () => new No(404, "NO_SUCH_CASE", "there is no such case");
const window = (row, name) => {
  const { due, length, kept, broken, used, word } = promise(row, name, clock.now());
  return { dueAt: due, seconds: length / 1000, used, state: word, keptAt: kept, brokenAt: broken };
};
const promises = (row) => ({ acknowledge: window(row, "answer"), resolve: window(row, "solve") });
const shown = (row) => ({
  ref: row.ref, org: row.org, subject: row.subject, details: row.details, priority: row.priority, state: row.state, tier: row.tier,
  assignee: row.assignee, reporter: row.reporter, raisedAt: row.raised_at, changedAt: row.changed_at,
  outcome: row.cause && { cause: row.cause, fix: row.fix, prevention: row.prevention }, promises: promises(row),
}); // prettier-ignore

app.post("/v2/cases", least("staff"), async (request, response) => {
  const { subject, details, priority, org } = body(request, ["subject", "details", "priority", "org"]);
  const { person } = request;
  if (org && person.org && org !== person.org) throw none();
  const into = person.org || org;
  if (!UUID.test(into || "")) throw new No(400, "MALFORMED", "org: say whose case it is");
  const row = await store.raise(person, into, said(subject, "subject"), details ?? "", choice(priority, PRIORITIES, "priority"));
  response.status(200).json(shown(row));
});
app.get("/v2/cases", least("staff"), async ({ query, person }, response) => {
  const size = Math.min(200, Number(query.size) || 50);
  const after = query.after === undefined ? null : Buffer.from(query.after, "base64url").toString();
  if (after !== null && !/^\d+$/.test(after)) throw new No(400, "MALFORMED", "after is none of ours");
  const { rows } = await store.book.query(
    `select * from cases where ($1::uuid is null or org = $1) and ($2::text is null or state = $2) and ($3::text is null or priority = $3)
     and ($4::bigint is null or place < $4) order by place desc limit $5`,
    [person.org, query.state ?? null, planted("filter-ignored") ? null : (query.priority ?? null), after, size + 1],
  );
  const page = rows.slice(0, size);
  response.json({ data: page.map(shown), next: rows.length > size ? Buffer.from(String(page.at(-1).place)).toString("base64url") : null });
});

const own = async ({ params, person }) => {
  const org = planted("foreign-cases-shown") ? null : person.org;
  const { rows } = UUID.test(params.ref) ? await store.book.query("select * from cases where ref = $1 and ($2::uuid is null or org = $2)", [params.ref, org]) : { rows: [] };
  if (!rows.length) throw none();
  return rows[0];
};
const PARTS = {
  log: async (row) => {
    const { rows } = await store.book.query('select n, who, at as "when", kind, before as "from", after as "to", payload, prev, hash from log where case_ref = $1 order by n', [row.ref]);
    return { caseRef: row.ref, events: rows, head: { n: row.head_n, hash: row.head_hash } };
  },
  "steps-up": (row) => listed('select ref, who, at as "when", priority, to_tier as "toTier", note', "steps_up", row),
  causes: (row) => listed('select ref, who, at as "when", cause, confidence', "causes", row),
  noes: (row) => listed('select ref, who, at as "when", action, code, detail as message', "noes", row),
  promises: (row) => promises(row),
};
const listed = async (what, table, row) => ({ data: (await store.book.query(`${what} from ${table} where case_ref = $1 order by place`, [row.ref])).rows });
app.get("/v2/cases/:ref", least("staff"), async (request, response) => response.json(shown(await own(request))));
for (const [name, part] of Object.entries(PARTS)) {
  app.get(`/v2/cases/:ref/${name}`, least("staff"), async (request, response) => response.json(await part(await own(request))));
}

/** An action of admins on one case. `change` gets the row, the client, the time, the person and what was said. */
function action(method, name, fields, change, done = 200) {
  app[method](`/v2/cases/:ref/${name}`, least("admin"), async (request, response) => {
    const words = body(request, [...fields, "note"]);
    await own(request);
    const row = await store.act(request.person, request.params.ref, ACTIONS[name] || name, (found, client, at) => change(found, client, at, request.person.ref, words));
    if (!row) throw none();
    response.status(done).json(shown(row));
  });
}
const ACTIONS = { ack: "acknowledge", up: "escalate", cause: "root-cause", priority: "severity" }; // as kept noes name them
const noted = ({ note }) => (note ? { note } : {});
const moves = (verb, to) => (row, client, at, person, words) => store.move(row, client, at, person, verb, to, noted(words));
action("post", "ack", [], moves("acknowledge", "acknowledged"));
action("post", "investigate", [], moves("investigate", "investigating"));
action("post", "mitigate", [], moves("mitigate", "mitigating"));
action("post", "close", [], moves("close", "closed"));
action("post", "reopen", [], moves("reopen", "investigating"));
action("post", "up", ["toTier"], (row, client, at, person, { toTier, note }) => store.stepUp(row, client, at, person, choice(toTier, TIERS, "toTier"), note));
action("post", "resolve", ["cause", "fix", "prevention"], async (row, client, at, person, words) => {
  if (row.state !== "mitigating") throw illegal(row, "resolve");
  told(words, ["cause", "fix", "prevention"]);
  for (const name of ["cause", "fix", "prevention"]) row[name] = words[name].trim();
  await store.move(row, client, at, person, "resolve", "resolved", noted(words));
});
action("post", "cause", ["cause", "confidence"], async (row, client, at, person, words) => {
  if (!CAUSE_FITS.includes(row.state) && !planted("cause-anywhere")) throw illegal(row, "root-cause");
  choice(words.confidence, ["low", "medium", "high"], "confidence");
  told(words, ["cause"]);
  const cause = words.cause.trim();
  await client.query("insert into causes (ref, case_ref, who, at, cause, confidence) values ($1, $2, $3, $4, $5, $6)", [crypto.randomUUID(), row.ref, person, at, cause, words.confidence]);
  await store.append(client, row, person, "root_cause_recorded", null, null, { cause, confidence: words.confidence }, at);
}, 201);
action("patch", "priority", ["priority", "reason"], async (row, client, at, person, { priority, reason }) => {
  if (["resolved", "closed"].includes(row.state)) throw new KeptNo(409, "SEALED", `the priority of a case that is ${row.state} stands`);
  said(reason, "reason");
  const before = row.priority;
  row.priority = choice(priority, PRIORITIES, "priority");
  row.priority_at = at;
  await store.append(client, row, person, "severity_changed", null, null, { before, after: priority, reason }, at);
});

// --- noes ------------------------------------------------------------------------------------------------------------
app.use((request) => {
  throw new No(404, "NO_SUCH_PLACE", "there is no such place");
});
app.use((why, _request, response, _next) => {
  const known = why instanceof No ? why : why.type?.startsWith("entity.") ? new No(why.status === 413 ? 413 : 400, "MALFORMED", "the body cannot be read") : null;
  const no = known || (["ECONNREFUSED", "ECONNRESET", "57P01"].includes(why.code) || /timeout|terminated/i.test(why.message) ? new No(503, "AWAY", "a store is away") : new No(500, "OUR_MISTAKE", "this should not have happened"));
  if (!known) console.error(why.stack || why);
  response.status(no.status).json({ error: { type: no.type, message: no.message, ...no.more } });
});

clock.open(process.env.CLOCK_DOOR).then(async () => {
  await store.wake();
  const server = app.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("casebook listens"));
  server.keepAliveTimeout = 65_000;
  process.on("SIGTERM", () => server.close(() => process.exit(0)) && server.closeIdleConnections());
}).catch((why) => {
  console.error("casebook cannot start:", why.message);
  process.exit(1);
});
