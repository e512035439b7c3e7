create table orgs (ref uuid primary key, label text not null);
create table people (
    ref uuid primary key, org uuid references orgs, role text not null, mail text not null unique, secret text not null
);
create table cases (
    ref uuid primary key, place bigint generated always as identity, org uuid not null, subject text not null,
    details text not null, priority text not null, state text not null default 'open', tier text,
    assignee uuid not null, reporter uuid not null, raised_at timestamptz not null, changed_at timestamptz not null,
    priority_at timestamptz not null, cause text, fix text, prevention text,
    answer_kept_at timestamptz, answer_broken_at timestamptz, answer_warned boolean not null default false,
    solve_kept_at timestamptz, solve_broken_at timestamptz, solve_warned boolean not null default false,
    watch_at timestamptz, head_n integer not null default 0, head_hash text not null default repeat('0', 64)
);
create table log (
    case_ref uuid not null, n integer not null, who text not null, at timestamptz not null, kind text not null,
    before text, after text, payload jsonb not null, prev text not null, hash text not null, primary key (case_ref, n)
);
create table steps_up (
    place bigint generated always as identity primary key, ref uuid not null, case_ref uuid not null, who text not null,
    at timestamptz not null, priority text not null, to_tier text not null, note text
);
create table causes (
    place bigint generated always as identity primary key, ref uuid not null, case_ref uuid not null, who text not null,
    at timestamptz not null, cause text not null, confidence text not null
);
create table noes (
    place bigint generated always as identity primary key, ref uuid not null, case_ref uuid not null, who text not null,
    at timestamptz not null, action text not null, code text not null, detail text not null
);
