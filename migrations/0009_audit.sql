-- The scheduled audit: its runs, what they have read, what they found, and which reminders went out.

SET LOCAL lock_timeout = '5s';

-- What an audit knows of an asset beside what was seen last.
ALTER TABLE provisor.domains
    ADD COLUMN expiry_believed timestamptz,  -- the expiry that the next one is compared with
    ADD COLUMN moved_since     timestamptz,  -- since when another one is shown that does not follow from it
    ADD COLUMN looked_at       timestamptz,  -- when its detail was last read
    ADD COLUMN missing_since   timestamptz,  -- the first of the audits in a row that missed it
    ADD COLUMN missing_runs    integer NOT NULL DEFAULT 0;
ALTER TABLE provisor.sites
    ADD COLUMN looked_at       timestamptz,
    ADD COLUMN missing_since   timestamptz,
    ADD COLUMN missing_runs    integer NOT NULL DEFAULT 0;
-- Which lines brought names: their prices are asked for.
CREATE INDEX domains_line ON provisor.domains (line_id) WHERE line_id IS NOT NULL;

-- What was known of a name's expiry says nothing of the next registration of it.
CREATE FUNCTION provisor.forget_expiry() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.expiry_believed := NULL;
    NEW.moved_since := NULL;
    NEW.looked_at := NULL;
    NEW.missing_since := NULL;
    NEW.missing_runs := 0;
    RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION provisor.forget_expiry() FROM PUBLIC;
CREATE TRIGGER domains_brought_anew BEFORE UPDATE OF line_id ON provisor.domains FOR EACH ROW
    WHEN (NEW.line_id IS NOT NULL AND NEW.line_id IS DISTINCT FROM OLD.line_id)
    EXECUTE FUNCTION provisor.forget_expiry();

-- Each audit. One that is not ended and whose lease is over is gone on with by whoever comes next.
CREATE TABLE provisor.audit_runs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('scheduled', 'asked', 'dry')),
    due_at       timestamptz NOT NULL,     -- of a scheduled one: the time that audit.cron names
    started_at   timestamptz NOT NULL,     -- by the audit's clock, as all but the lease
    ended_at     timestamptz,
    past_brake   boolean NOT NULL DEFAULT false,  -- somebody has looked, and says that so much has changed
    stage        text NOT NULL,
    position     text NOT NULL DEFAULT '', -- how far the stage has come
    pass         integer NOT NULL DEFAULT 1,      -- of a listing: one that changes while it is read is begun anew
    figures      jsonb NOT NULL DEFAULT '{}',     -- jobs/audit/figures.rs
    owner        uuid,
    lease_until  timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE UNIQUE INDEX audit_runs_one_open ON provisor.audit_runs ((true)) WHERE ended_at IS NULL;
CREATE INDEX audit_runs_due ON provisor.audit_runs (kind, due_at);

-- From when on the schedule is kept: before it, nothing was missed.
CREATE TABLE provisor.audit_schedule (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    since      timestamptz NOT NULL
);
INSERT INTO provisor.audit_schedule (since) VALUES (clock_timestamp());

-- What the audit under way has read of each asset; emptied when it ends.
CREATE TABLE provisor.audit_readings (
    asset          text NOT NULL CHECK (asset IN ('domain', 'site')),
    key            text NOT NULL,               -- the name in A-labels; the site's id, in twenty digits
    pass           integer NOT NULL,       -- the pass of the listing that shows it; 0: none does
    status         text,
    expires_at     timestamptz,            -- of a domain
    auto_renew     boolean,
    transfer_lock  boolean,
    domain         text,                   -- of a site
    detail         jsonb,                  -- the direct look: what was seen, or that nothing was
    read_at        timestamptz NOT NULL,   -- before the last request that shows it: what was learnt since is newer
    PRIMARY KEY (asset, key)
);

-- What is not as it should be. No volatile value is in a fingerprint, so that a finding is known from run to run.
CREATE TABLE provisor.findings (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint  text NOT NULL,
    kind         text NOT NULL,
    severity     text NOT NULL CHECK (severity IN ('info', 'warning', 'critical')),
    subject      text NOT NULL,
    detail       text NOT NULL,
    first_seen   timestamptz NOT NULL,
    last_seen    timestamptz NOT NULL,
    worse_at     timestamptz NOT NULL,     -- when it was opened, or became graver
    closed_at    timestamptz
);
CREATE UNIQUE INDEX findings_one_open ON provisor.findings (fingerprint) WHERE closed_at IS NULL;
CREATE INDEX findings_open ON provisor.findings (subject, kind) WHERE closed_at IS NULL;
CREATE INDEX findings_closed ON provisor.findings (closed_at) WHERE closed_at IS NOT NULL;

-- Which reminder of which expiry was owed when: the proof, kept for three years, without the email's body.
CREATE TABLE provisor.reminders (
    domain       text NOT NULL,
    expires_on   date NOT NULL,            -- in audit.timezone
    threshold    integer NOT NULL,         -- days before the expiry; negative: after
    outcome      text NOT NULL CHECK (outcome IN ('owed', 'skipped')),
    decided_at   timestamptz NOT NULL,
    customer_id  bigint REFERENCES provisor.customers,
    email_id     bigint REFERENCES provisor.email_outbox,
    PRIMARY KEY (domain, expires_on, threshold)
);
CREATE INDEX reminders_email ON provisor.reminders (email_id) WHERE email_id IS NOT NULL;

-- What a delivered line would cost now.
CREATE TABLE provisor.line_prices (
    line_id     bigint PRIMARY KEY REFERENCES provisor.order_lines,
    price       numeric(12, 2) NOT NULL,   -- EUR without VAT
    before      numeric(12, 2),            -- what it was before it last changed
    changed_at  timestamptz,
    read_at     timestamptz NOT NULL
);
CREATE INDEX line_prices_read ON provisor.line_prices (read_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON provisor.audit_runs, provisor.audit_readings, provisor.findings,
    provisor.reminders, provisor.line_prices TO provisor_worker;
GRANT SELECT ON provisor.audit_schedule TO provisor_worker;
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA provisor TO provisor_worker;
-- Whoever only reads gets no free text: an upstream's or a mail server's words may name people.
GRANT SELECT ON provisor.audit_schedule, provisor.line_prices TO provisor_readonly;
GRANT SELECT (id, kind, due_at, started_at, ended_at, past_brake, stage) ON provisor.audit_runs TO provisor_readonly;
GRANT SELECT (id, fingerprint, kind, severity, subject, first_seen, last_seen, worse_at, closed_at)
    ON provisor.findings TO provisor_readonly;
GRANT SELECT (domain, expires_on, threshold, outcome, decided_at) ON provisor.reminders TO provisor_readonly;

-- An asset that upstream shows and that was sold before Provisor came, with its owner, who is known by his reference; one
-- who is known already keeps his details. 'imported', 'known' (it was his), or 'foreign' (it is another's: nothing changes).
CREATE FUNCTION provisor.import_asset(asset text, key text, owner jsonb, seen jsonb, wished boolean) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fault record;
    told provisor.customers;
    its_customer bigint;
    held_by bigint;
BEGIN
    SELECT f.path, f.message INTO fault FROM provisor.customer_faults(owner) AS f LIMIT 1;
    IF NOT FOUND THEN
        SELECT r.key AS path, 'is required' AS message INTO fault
        FROM unnest('{first_name,last_name,email}'::text[]) AS r (key) WHERE coalesce(owner ->> r.key, '') = '' LIMIT 1;
    END IF;
    IF FOUND THEN
        -- The key tells whoever sent many of them which one it is.
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = fault.path || ': ' || fault.message,
            DETAIL = key;
    END IF;
    told := jsonb_populate_record(NULL::provisor.customers, owner);
    told.locale := coalesce(told.locale, 'en');
    its_customer := provisor.customer_of(told);
    IF asset = 'site' THEN
        INSERT INTO provisor.sites AS s (site_id, domain, customer_id, status, seen_at)
        VALUES (key::bigint, coalesce(seen ->> 'domain', ''), its_customer, seen ->> 'status', clock_timestamp())
        ON CONFLICT (site_id) DO UPDATE SET customer_id = excluded.customer_id WHERE s.customer_id IS NULL;
        IF FOUND THEN
            RETURN 'imported';
        END IF;
        SELECT s.customer_id INTO held_by FROM provisor.sites AS s WHERE s.site_id = key::bigint;
    ELSE
        INSERT INTO provisor.domains AS d (domain, asked_as, customer_id, auto_renew_wished, status, expires_at,
                                           expiry_believed, auto_renew_seen, transfer_lock_seen, seen_at)
        VALUES (key, key, its_customer, wished, seen ->> 'status', (seen ->> 'expires_at')::timestamptz,
                (seen ->> 'expires_at')::timestamptz, (seen ->> 'auto_renew')::boolean,
                (seen ->> 'transfer_lock')::boolean, clock_timestamp())
        ON CONFLICT (domain) DO UPDATE
        SET customer_id = excluded.customer_id, line_id = NULL, auto_renew_wished = excluded.auto_renew_wished,
            transfer_lock_wished = NULL, auto_renew_line_id = NULL, auto_renew_before = NULL, status = excluded.status,
            expires_at = excluded.expires_at, expiry_believed = excluded.expiry_believed,
            auto_renew_seen = excluded.auto_renew_seen, transfer_lock_seen = excluded.transfer_lock_seen,
            seen_at = excluded.seen_at
        WHERE d.customer_id IS NULL
           OR EXISTS (SELECT FROM provisor.order_lines AS l
                      WHERE l.id = d.line_id AND l.status IN ('failed', 'cancelled'));
        IF FOUND THEN
            RETURN 'imported';
        END IF;
        -- What a later list says of the renewal counts, for names that no order has brought.
        UPDATE provisor.domains AS d SET auto_renew_wished = wished
        WHERE d.domain = key AND d.customer_id = its_customer AND d.line_id IS NULL AND wished IS NOT NULL;
        SELECT d.customer_id INTO held_by FROM provisor.domains AS d WHERE d.domain = key;
    END IF;
    RETURN CASE WHEN held_by = its_customer THEN 'known' ELSE 'foreign' END;
END $$;

REVOKE EXECUTE ON FUNCTION provisor.import_asset(text, text, jsonb, jsonb, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION provisor.import_asset(text, text, jsonb, jsonb, boolean) TO provisor_worker;

-- Emails that could not be sent are told of for a while.
CREATE INDEX email_outbox_failed ON provisor.email_outbox (settled_at) WHERE status = 'failed';
