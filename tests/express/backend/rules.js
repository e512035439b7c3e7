// What is allowed, as tables; and the defects that can be planted: DEFECTS=name,name or DEFECTS=all.
"use strict";

const DEFECTS = new Set((process.env.DEFECTS || "").split(",").filter(Boolean));
const planted = (name) => DEFECTS.has("all") || DEFECTS.has(name);

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const PRIORITIES = ["P4", "P3", "P2", "P1"];
const TIERS = ["T1", "T2", "T3", "T4"];
const PROMISES = {
  P1: { answer: 15 * MINUTE, solve: 4 * HOUR },
  P2: { answer: 30 * MINUTE, solve: 8 * HOUR },
  P3: { answer: 2 * HOUR, solve: 24 * HOUR },
  P4: { answer: planted("low-window") ? 6 * HOUR : 8 * HOUR, solve: 72 * HOUR },
};
const STEPS = {
  open: ["acknowledged", "escalated"],
  acknowledged: ["escalated", "investigating"],
  escalated: ["escalated", "investigating"],
  investigating: ["escalated", "mitigating"],
  mitigating: ["escalated", "investigating", "resolved"],
  resolved: ["closed", "investigating"],
  closed: [],
};
const CAUSE_FITS = ["acknowledged", "escalated", "investigating", "mitigating"];

class No extends Error {
  constructor(status, type, message, more = {}) {
    super(message);
    Object.assign(this, { status, type, more });
  }
}
/** A no that is about the case itself, and is kept with it. */
class KeptNo extends No {}

const illegal = (row, action) =>
  new KeptNo(400, "BAD_STATE", `${action} does not fit a case that is ${row.state}`, { now: row.state, allowed: [...new Set(STEPS[row.state])].sort() });

function step(row, action, to) {
  const byReopen = row.state === "resolved" && to === "investigating";
  const legal = STEPS[row.state].includes(to) && byReopen === (action === "reopen");
  if (!legal && !(byReopen && planted("reopens-by-investigate"))) throw illegal(row, action);
}

function tierFor(row, tier) {
  if (TIERS.indexOf(tier) < PRIORITIES.indexOf(row.priority)) throw new KeptNo(400, "WRONG_TIER", `${row.priority} goes higher than ${tier}`);
  const falls = row.tier !== null && TIERS.indexOf(tier) <= TIERS.indexOf(row.tier);
  if (falls && !planted("tier-falls")) throw new KeptNo(400, "WRONG_TIER", `it is at ${row.tier} already`);
}

function told(body, names) {
  const lacking = names.filter((name) => typeof body[name] !== "string" || body[name].trim().length < 10);
  if (lacking.length) {
    const named = planted("first-lacking-only") ? lacking.slice(0, 1) : lacking;
    throw new KeptNo(400, "TOO_LITTLE", `say more: ${named.join(", ")}`, { fields: named });
  }
}

/** How one promise stands: a share of its window, and a word. */
function promise(row, name, now) {
  const length = PROMISES[row.priority][name];
  const due = new Date(row.raised_at.getTime() + length);
  const kept = row[`${name}_kept_at`];
  const broken = row[`${name}_broken_at`];
  const until = kept || now;
  const used = Math.max(0, (until - row.raised_at) / length);
  const word = broken ? "breached" : kept ? "met" : until > due ? "breached" : used >= 0.8 ? "at_risk" : "on_track";
  return { due, length, kept, broken, used, word };
}

module.exports = { planted, PRIORITIES, TIERS, PROMISES, STEPS, CAUSE_FITS, No, KeptNo, illegal, step, tierFor, told, promise };
