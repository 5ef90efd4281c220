-- The tables. What a shop may use of them (functions, views, roles) follows in later migrations.
--
-- Lock order, everywhere: orders by id, then wakes by id, then effects, then order_lines by id.

CREATE SCHEMA IF NOT EXISTS provisor;
REVOKE ALL ON SCHEMA provisor FROM PUBLIC;
-- Functions are PUBLIC's by default, and a default of one schema can't take that back (it only adds to the global one).
-- So 0004_roles.sql revokes, and so must every later migration that makes a function.

-- One row: what this schema is, and the oldest binary that it serves (contract, "Metrics", /readyz).
CREATE TABLE provisor.schema_info (
    singleton      boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    oldest_binary  text NOT NULL
);
INSERT INTO provisor.schema_info (oldest_binary) VALUES ('0.1.0');

-- Customers, as last told by an order or by update_customer. Used for emails only.
CREATE TABLE provisor.customers (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference     text UNIQUE,             -- null: known through its one order alone
    first_name    text NOT NULL,
    last_name     text NOT NULL,
    organization  text,
    email         text NOT NULL,
    phone         text,
    address       text,
    postal_code   text,
    city          text,
    country       text,
    locale        text NOT NULL DEFAULT 'en',
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE provisor.orders (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    reference      text NOT NULL UNIQUE,
    customer_id    bigint NOT NULL REFERENCES provisor.customers,
    -- As submitted, without nulls. An auth code is replaced by a hash salted with document_salt, so that a repetition
    -- can be compared and the code can't be read.
    document       jsonb NOT NULL,
    document_salt  uuid NOT NULL DEFAULT gen_random_uuid(),
    status         text NOT NULL DEFAULT 'accepted' CHECK (status IN
                       ('accepted', 'in_progress', 'completed', 'partial', 'failed', 'cancelled', 'attention')),
    reason         text,
    -- Counts how often the order has ended: an email that tells the end is owed once per ending.
    episode        integer NOT NULL DEFAULT 0,
    submitted_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at    timestamptz
) WITH (fillfactor = 80);
CREATE INDEX orders_customer ON provisor.orders (customer_id);

CREATE TABLE provisor.order_lines (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id           bigint NOT NULL REFERENCES provisor.orders,
    line               integer NOT NULL,   -- index in the document's lines, from 0
    kind               text NOT NULL CHECK (kind IN
                           ('hosting', 'hosting_own', 'domain_register', 'domain_transfer', 'domain_update', 'dns')),
    wish               jsonb NOT NULL,     -- the line's object as submitted, without nulls and without its auth code
    domain             text,               -- lower case; an A-label once the worker has normalised it
    status             text NOT NULL DEFAULT 'pending' CHECK (status IN
                           ('pending', 'placing', 'in_doubt', 'provisioning', 'completed', 'failed',
                            'held', 'cancelled')),
    reason             text,
    upstream_order_id  bigint,
    site_id            bigint,
    contact_handle     text,
    cost               numeric(12, 2),     -- EUR without VAT
    expires_at         timestamptz,
    -- What the polls have seen; the waits of the contract's configuration count from these.
    simple_status      text,               -- LJPc's, as last read
    accepted_at        timestamptz,        -- accepted upstream
    failed_seen_at     timestamptz,        -- first read as failed, since it last was anything else
    completed_seen_at  timestamptz,        -- first read as completed, without its site_id
    in_doubt_at        timestamptz,
    overdue_told_at    timestamptz,        -- the operator and the customer were told of the delay
    cost_limit         numeric(12, 2),     -- max_cost, or what a person allowed since
    allow_premium      boolean,
    panics             integer NOT NULL DEFAULT 0,  -- of its handler, since a person last looked
    sent               boolean NOT NULL DEFAULT false,  -- any request but a GET may have gone upstream for it
    updated_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (order_id, line)
) WITH (fillfactor = 70);
CREATE INDEX order_lines_open ON provisor.order_lines (status)
    WHERE status IN ('pending', 'placing', 'in_doubt', 'provisioning', 'held');
-- With id, as whose turn it is for a name goes by it.
CREATE INDEX order_lines_domain ON provisor.order_lines (domain, id);

-- Erased when the line ends.
CREATE TABLE provisor.transfer_secrets (
    line_id    bigint PRIMARY KEY REFERENCES provisor.order_lines,
    auth_code  text NOT NULL
);

-- The effect ledger: a row for each placement, that is, for each thing that a line may have bought.
-- ARCHITECTURE.md, "The effect ledger", says how a row moves from state to state.
CREATE TABLE provisor.effects (
    id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    line_id            bigint NOT NULL REFERENCES provisor.order_lines,
    step               text NOT NULL,      -- 'place_order', …: one live effect per line and step
    n                  integer NOT NULL,   -- 1, 2, …: a further placement of the same step
    tag                text NOT NULL UNIQUE,  -- <reference>/<line>, later <reference>/<line>#<n>: it is echoed
    state              text NOT NULL CHECK (state IN
                           ('sending', 'in_doubt', 'accepted', 'rejected', 'not_sent', 'absent', 'abandoned')),
    live               boolean NOT NULL DEFAULT true,
    domain             text,
    claims_site        boolean NOT NULL DEFAULT false,  -- it will bring a site for its domain
    claims_name        boolean NOT NULL DEFAULT false,  -- it will bring the name itself
    upstream_order_id  bigint UNIQUE,
    site_id            bigint UNIQUE,
    order_id_floor     bigint,             -- highest LJPc order of ours known at the intent: evidence lies above it
    intended_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at         timestamptz,
    UNIQUE (line_id, step, n)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX effects_one_live ON provisor.effects (line_id, step) WHERE live;
-- What provably was not sent keeps nobody from the name: its line may be held or cancelled by now.
CREATE UNIQUE INDEX effects_one_site ON provisor.effects (domain)
    WHERE live AND claims_site AND site_id IS NULL AND state <> 'not_sent';
CREATE UNIQUE INDEX effects_one_name ON provisor.effects (domain)
    WHERE live AND claims_name AND state <> 'not_sent';

-- Each time that the request of an effect may have been written to the wire.
CREATE TABLE provisor.attempts (
    id            uuid PRIMARY KEY,        -- made by the client, before anything is sent
    effect_id     bigint NOT NULL REFERENCES provisor.effects,
    owner         uuid NOT NULL,
    run_token     bigint NOT NULL,
    request_hash  bytea NOT NULL,          -- SHA-256 of method, path and body
    timeline      text NOT NULL,           -- the WAL timeline on which the intent was committed
    http_status   integer,
    jti           text,                    -- what the upstream's support asks for
    outcome       text,                    -- accepted, rejected, rate_limited, unauthorized, not_sent, in_doubt
    detail        text,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at      timestamptz
);
CREATE INDEX attempts_effect ON provisor.attempts (effect_id);

-- Everything that happened, in order within an order. Partitioned by month: old months are dropped whole.
CREATE TABLE provisor.events (
    id        bigint GENERATED BY DEFAULT AS IDENTITY,
    order_id  bigint NOT NULL,
    line      integer,                     -- null: the order's own
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    event     text NOT NULL,
    detail    jsonb NOT NULL DEFAULT '{}'
) PARTITION BY RANGE (at);
CREATE INDEX events_order ON provisor.events (order_id, id);
-- A row never fails for want of its month.
CREATE TABLE provisor.events_other PARTITION OF provisor.events DEFAULT;

CREATE TABLE provisor.email_outbox (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dedupe_key    text NOT NULL UNIQUE,    -- bears the episode: order_failed:<order>:<n>
    template      text NOT NULL,
    order_id      bigint REFERENCES provisor.orders,
    line          integer,
    customer_id   bigint REFERENCES provisor.customers,  -- null: to the operator
    context       jsonb NOT NULL DEFAULT '{}',           -- no personal data: that is read when the mail is made
    status        text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sent', 'failed', 'disabled')),
    message_id    text NOT NULL UNIQUE DEFAULT gen_random_uuid()::text,  -- its left part: stable over all attempts
    attempts      integer NOT NULL DEFAULT 0,
    last_error    text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at    timestamptz
);
CREATE INDEX email_outbox_queued ON provisor.email_outbox (created_at) WHERE status = 'queued';
CREATE INDEX email_outbox_order ON provisor.email_outbox (order_id);

-- What customers have, what they wish for it, and what was last seen upstream.
CREATE TABLE provisor.domains (
    id                  bigint GENERATED ALWAYS AS IDENTITY UNIQUE,  -- the subject of its wake
    domain              text PRIMARY KEY,  -- as order_lines.domain
    asked_as            text,              -- lower case, as the shop wrote it
    customer_id         bigint REFERENCES provisor.customers,
    line_id             bigint REFERENCES provisor.order_lines,  -- one that bought nothing leaves the row to the next
    auto_renew_wished   boolean,           -- null: no wish, so never changed
    -- The domain_update line that last changed the wish, if a line did, and what it was before: cancelling gives it back.
    auto_renew_line_id  bigint REFERENCES provisor.order_lines,
    auto_renew_before   boolean,
    transfer_lock_wished boolean,
    status              text,
    expires_at          timestamptz,
    auto_renew_seen     boolean,
    transfer_lock_seen  boolean,
    contact_handle_seen text,
    nameservers_seen    text[],
    seen_at             timestamptz
);
CREATE INDEX domains_asked_as ON provisor.domains (asked_as);

CREATE TABLE provisor.sites (
    site_id           bigint PRIMARY KEY,
    domain            text NOT NULL,
    customer_id       bigint REFERENCES provisor.customers,
    line_id           bigint REFERENCES provisor.order_lines,
    status            text,
    disk_used_bytes   bigint,
    disk_quota_bytes  bigint,
    seen_at           timestamptz
);

-- The queue: one narrow, hot row per subject, for its life. A claim touches no indexed column, so it is a HOT update.
CREATE TABLE provisor.wakes (
    id           bigint PRIMARY KEY,       -- subject × 16 + kind (db/wakes.rs): one column, for `id = ANY (…)`
    lane         smallint NOT NULL,        -- 0 place, 1 retry, 2 poll, 3 email, 4 audit
    due_at       timestamptz NOT NULL,     -- 'infinity': nothing to do until poked
    lease_until  timestamptz NOT NULL DEFAULT '-infinity',
    run_token    bigint NOT NULL DEFAULT 0,
    owner        uuid,
    kicks        integer NOT NULL DEFAULT 0,   -- pokes; a park that has not seen the last one comes due at once
    tries        integer NOT NULL DEFAULT 0    -- runs since the subject last got on: what backoff counts
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX wakes_due ON provisor.wakes (lane, due_at, id);

-- Each running process. Its wakes are released early when it stops telling that it lives.
CREATE TABLE provisor.processes (
    owner         uuid PRIMARY KEY,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The budget of requests that all processes share: the next free slot in time (GCRA's theoretical arrival time).
CREATE TABLE provisor.upstream_budgets (
    provider  text PRIMARY KEY,
    tat       timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO provisor.upstream_budgets (provider) VALUES ('ljpc'), ('leanstack');

-- Open circuits: of an upstream (endpoint ''), or of one endpoint.
CREATE TABLE provisor.circuits (
    provider   text NOT NULL,
    endpoint   text NOT NULL DEFAULT '',
    reason     text NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    probe_at   timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when the next trial is allowed
    PRIMARY KEY (provider, endpoint)
);

-- The WAL timeline on which irreversible requests may be made. Another one means a failover,
-- which may have lost intents.
CREATE TABLE provisor.timeline (
    singleton     boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    confirmed     text NOT NULL,
    confirmed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO provisor.timeline (confirmed) VALUES (left(pg_walfile_name(pg_current_wal_insert_lsn()), 8));
