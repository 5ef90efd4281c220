-- How a shop hands over an order and speaks about it afterwards (contract, "How a shop hands over an order: SQL").
--
-- All functions for the shop are SECURITY DEFINER with a pinned search_path: the shop has no right to any table. What
-- can't be inlined is written in plpgsql, which keeps its plans; a function in SQL would be planned anew at each call.
-- Raised: 22023 malformed, 23505 the reference is taken by another content, P0002 unknown.

-- ── The queue's bell ────────────────────────────────────────────────────────────────────────────────────────────────

-- When the workers were last notified, in milliseconds. NOTIFY serialises commits, so it is sent once in 5 ms at most. A
-- sequence serves as the clock, as it is seen at once by all and locks nobody. The price: whoever skips relies on the
-- notification of another transaction, which may commit a little sooner, or roll back. So the worker claims once more
-- some milliseconds after each notification, and polls.
CREATE SEQUENCE provisor.notified_ms AS bigint MINVALUE 0 START 0;

CREATE FUNCTION provisor.notify_workers() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_ms bigint := extract(epoch FROM clock_timestamp()) * 1000;
BEGIN
    -- A clock that was set back must not silence the bell: hence a range, not a comparison.
    IF now_ms - (SELECT last_value FROM provisor.notified_ms) NOT BETWEEN 0 AND 4 THEN
        PERFORM setval('provisor.notified_ms', now_ms);
        NOTIFY provisor_wake;
    END IF;
END $$;

-- Makes a subject due at once: something that it waits for has come. `kicks` tells a run that is under way about it.
CREATE FUNCTION provisor.poke(wake_id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE provisor.wakes SET due_at = LEAST(due_at, clock_timestamp()), kicks = kicks + 1 WHERE id = wake_id;
    PERFORM provisor.notify_workers();
END $$;

-- At the order's commit, not before: the workers watch due_at from a watermark on, below which a slow transaction of the
-- shop would otherwise commit. (A wake's id is subject × 16 + kind; 1 is a line, 2 an email. Lanes: 0 place, 3 email.)
CREATE FUNCTION provisor.wake_order() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO provisor.wakes (id, lane, due_at)
    SELECT id * 16 + 1, 0, clock_timestamp() FROM provisor.order_lines WHERE order_id = NEW.id AND status = 'pending'
    UNION ALL
    SELECT id * 16 + 2, 3, clock_timestamp() FROM provisor.email_outbox WHERE order_id = NEW.id AND status = 'queued'
    ON CONFLICT (id) DO NOTHING;
    PERFORM provisor.notify_workers();
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER orders_wake AFTER INSERT ON provisor.orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION provisor.wake_order();

-- ── What is kept of a document ──────────────────────────────────────────────────────────────────────────────────────

-- The document without nulls, and with a salted hash for each auth code: a repetition can be compared with it, and the
-- code can't be read from it.
CREATE FUNCTION provisor.kept_document(payload jsonb, salt uuid) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    kept jsonb := jsonb_strip_nulls(payload);
    code text;
BEGIN
    IF NOT kept @? '$.lines[*].auth_code' THEN
        RETURN kept;
    END IF;
    FOR n IN 0 .. jsonb_array_length(kept -> 'lines') - 1 LOOP
        code := kept -> 'lines' -> n ->> 'auth_code';
        IF code IS NOT NULL THEN
            kept := jsonb_set(kept, ARRAY['lines', n::text, 'auth_code'],
                              to_jsonb(encode(sha256(convert_to(salt::text || code, 'UTF8')), 'hex')));
        END IF;
    END LOOP;
    RETURN kept;
END $$;

-- A line as the worker reads it: without its auth code, and with 1.0 written as 1.
CREATE FUNCTION provisor.wish_of(line jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    wish jsonb := line - 'auth_code';
    whole text;
    list text;
BEGIN
    FOREACH whole IN ARRAY ARRAY['years', 'space_id'] LOOP
        IF wish ? whole THEN
            wish := jsonb_set(wish, ARRAY[whole], to_jsonb(trim_scale((wish ->> whole)::numeric)));
        END IF;
    END LOOP;
    FOREACH list IN ARRAY ARRAY['dns', 'records'] LOOP
        IF wish ? list THEN
            wish := jsonb_set(wish, ARRAY[list], (
                SELECT coalesce(jsonb_agg(record || jsonb_strip_nulls(jsonb_build_object(
                           'ttl', trim_scale((record ->> 'ttl')::numeric),
                           'prio', trim_scale((record ->> 'prio')::numeric))) ORDER BY n), '[]')
                FROM jsonb_array_elements(wish -> list) WITH ORDINALITY AS r (record, n)));
        END IF;
    END LOOP;
    RETURN wish;
END $$;

-- ── Names ───────────────────────────────────────────────────────────────────────────────────────────────────────────

-- A name in lower case, as far as ASCII goes, whatever the database's locale (in Turkish, I has another lower case). The
-- worker does the rest when it normalises.
CREATE FUNCTION provisor.lower_name(name text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN lower(name COLLATE "C");

-- The rows of `domains` that a name may mean: as it was asked for, or normalised. Two may, for a while: one that is
-- normalised, and one of a line that is not yet. (A union, as an OR is not seen to be served by the two indexes.)
CREATE FUNCTION provisor.domains_named(name text) RETURNS SETOF bigint
    LANGUAGE sql STABLE
    BEGIN ATOMIC
        SELECT d.id FROM provisor.domains AS d WHERE d.domain = name
        UNION
        SELECT d.id FROM provisor.domains AS d WHERE d.asked_as = name;
    END;

-- Sees to it that a name which is being registered or transferred has its row in `domains`, with the wishes of the line.
--
-- The row hangs on the oldest live line of the name. It is taken from another line only if that one bought nothing (it
-- failed or was cancelled): a second order of a name waits for the first, or finds it taken, and must not get at the
-- first one's wishes. Whoever ends a registration or a transfer without success calls this, so that the next in line
-- gets the row.
CREATE FUNCTION provisor.assign_domain(name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    heir record;
BEGIN
    SELECT l.id, o.customer_id, (l.wish ->> 'auto_renew')::boolean AS auto_renew,
           (l.wish ->> 'transfer_lock')::boolean AS transfer_lock
    INTO heir
    FROM provisor.order_lines AS l JOIN provisor.orders AS o ON o.id = l.order_id
    WHERE l.domain = name AND l.kind IN ('domain_register', 'domain_transfer')
      AND l.status IN ('pending', 'placing', 'in_doubt', 'provisioning', 'held')
    ORDER BY l.id LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO provisor.domains (domain, asked_as, customer_id, line_id, auto_renew_wished, transfer_lock_wished)
    SELECT name, name, heir.customer_id, heir.id, heir.auto_renew, heir.transfer_lock
    WHERE NOT EXISTS (SELECT FROM provisor.domains_named(name))
    ON CONFLICT (domain) DO NOTHING;
    IF FOUND THEN
        RETURN;
    END IF;
    UPDATE provisor.domains AS d
    SET customer_id = heir.customer_id, line_id = heir.id, auto_renew_wished = heir.auto_renew,
        auto_renew_line_id = NULL, auto_renew_before = NULL, transfer_lock_wished = heir.transfer_lock,
        status = NULL, expires_at = NULL, auto_renew_seen = NULL, transfer_lock_seen = NULL,
        contact_handle_seen = NULL, nameservers_seen = NULL, seen_at = NULL
    WHERE d.id IN (SELECT provisor.domains_named(name))
      AND EXISTS (SELECT FROM provisor.order_lines AS l
                  WHERE l.id = d.line_id AND l.status IN ('failed', 'cancelled'));
END $$;

-- What an order's lines wish for names, from its submission on. A domain_update that is cancelled gives the wish back.
CREATE FUNCTION provisor.note_wishes(its_order bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- In the order of names, so that two orders can't wait for each other.
    PERFORM provisor.assign_domain(n.domain)
    FROM (SELECT DISTINCT l.domain FROM provisor.order_lines AS l
          WHERE l.order_id = its_order AND l.kind IN ('domain_register', 'domain_transfer') ORDER BY l.domain) AS n;
    UPDATE provisor.domains AS d
    SET auto_renew_wished = (l.wish ->> 'auto_renew')::boolean,
        auto_renew_line_id = l.id, auto_renew_before = d.auto_renew_wished
    FROM provisor.order_lines AS l
    CROSS JOIN LATERAL provisor.domains_named(l.domain) AS named (id)
    WHERE l.order_id = its_order AND l.kind = 'domain_update' AND l.wish ? 'auto_renew' AND d.id = named.id;
END $$;

-- ── Submission ──────────────────────────────────────────────────────────────────────────────────────────────────────

-- The id of an order that is there already: the same content, or 23505. Null: there is none.
CREATE FUNCTION provisor.submitted_before(payload jsonb) RETURNS bigint
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    earlier record;
BEGIN
    SELECT o.id, o.document, o.document_salt INTO earlier
    FROM provisor.orders AS o WHERE o.reference = payload ->> 'reference';
    IF FOUND AND earlier.document <> provisor.kept_document(payload, earlier.document_salt) THEN
        RAISE EXCEPTION USING ERRCODE = 'unique_violation',
            MESSAGE = format('order %s was already submitted with different content', payload ->> 'reference');
    END IF;
    RETURN earlier.id;
END $$;

-- The customer of an order: the known one of that reference, with the details still as they were, or a new row.
CREATE FUNCTION provisor.customer_of(told provisor.customers) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    known bigint;
BEGIN
    SELECT c.id INTO known FROM provisor.customers AS c WHERE c.reference = told.reference;
    IF NOT FOUND THEN
        INSERT INTO provisor.customers (reference, first_name, last_name, organization, email, phone, address,
                                        postal_code, city, country, locale)
        VALUES (told.reference, told.first_name, told.last_name, told.organization, told.email, told.phone,
                told.address, told.postal_code, told.city, told.country, told.locale)
        ON CONFLICT (reference) DO NOTHING
        RETURNING id INTO known;
        IF NOT FOUND THEN
            -- Another transaction brought the same customer in the meantime.
            SELECT c.id INTO STRICT known FROM provisor.customers AS c WHERE c.reference = told.reference;
        END IF;
    END IF;
    RETURN known;
END $$;

-- Replaces a customer's details. Equal ones are left alone, so that orders of one customer seldom wait for each other.
CREATE FUNCTION provisor.replace_customer(known bigint, told provisor.customers) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE provisor.customers AS c
    SET first_name = told.first_name, last_name = told.last_name, organization = told.organization,
        email = told.email, phone = told.phone, address = told.address, postal_code = told.postal_code,
        city = told.city, country = told.country, locale = told.locale, updated_at = clock_timestamp()
    WHERE c.id = known
      AND (c.first_name, c.last_name, c.organization, c.email, c.phone, c.address, c.postal_code, c.city, c.country,
           c.locale)
          IS DISTINCT FROM
          (told.first_name, told.last_name, told.organization, told.email, told.phone, told.address, told.postal_code,
           told.city, told.country, told.locale);
END $$;

-- Raises 22023 with the first fault of a document, if it has one.
CREATE FUNCTION provisor.demand_well_formed(payload jsonb) RETURNS void
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    fault record;
BEGIN
    SELECT v.path, v.message INTO fault FROM provisor.validate_order(payload) AS v LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = fault.path || ': ' || fault.message;
    END IF;
END $$;

-- Takes an order over, within the caller's transaction. The order's id; the same id for the same content.
CREATE FUNCTION provisor.submit_order(payload jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    salt uuid := gen_random_uuid();
    kept jsonb;
    told provisor.customers;
    its_customer bigint;
    its_id bigint;
BEGIN
    PERFORM provisor.demand_well_formed(payload);
    its_id := provisor.submitted_before(payload);
    IF its_id IS NOT NULL THEN
        RETURN its_id;
    END IF;
    told := jsonb_populate_record(NULL::provisor.customers, payload -> 'customer');
    told.locale := coalesce(told.locale, 'en');
    its_customer := provisor.customer_of(told);
    kept := provisor.kept_document(payload, salt);
    INSERT INTO provisor.orders (reference, customer_id, document, document_salt)
    VALUES (payload ->> 'reference', its_customer, kept, salt)
    ON CONFLICT (reference) DO NOTHING
    RETURNING id INTO its_id;
    IF its_id IS NULL THEN
        -- Another transaction submitted the reference in the meantime. What was prepared for a customer who is known by
        -- this order alone is not needed; a known one's details have not been touched yet.
        DELETE FROM provisor.customers AS c WHERE c.id = its_customer AND c.reference IS NULL;
        RETURN provisor.submitted_before(payload);
    END IF;
    PERFORM provisor.replace_customer(its_customer, told);
    INSERT INTO provisor.order_lines (order_id, line, kind, wish, domain, cost_limit, allow_premium)
    SELECT its_id, n - 1, line ->> 'kind', provisor.wish_of(line), provisor.lower_name(line ->> 'domain'),
           (line ->> 'max_cost')::numeric, (line ->> 'allow_premium')::boolean
    FROM jsonb_array_elements(kept -> 'lines') WITH ORDINALITY AS l (line, n)
    ORDER BY n;
    IF payload @? '$.lines[*].auth_code' THEN
        INSERT INTO provisor.transfer_secrets (line_id, auth_code)
        SELECT l.id, payload -> 'lines' -> l.line ->> 'auth_code'
        FROM provisor.order_lines AS l WHERE l.order_id = its_id AND l.kind = 'domain_transfer';
    END IF;
    IF payload @? '$.lines[*] ? (@.kind starts with "domain_")' THEN
        PERFORM provisor.note_wishes(its_id);
    END IF;
    INSERT INTO provisor.events (order_id, event, detail)
    VALUES (its_id, 'submitted', jsonb_build_object('lines', jsonb_array_length(kept -> 'lines')));
    INSERT INTO provisor.email_outbox (dedupe_key, template, order_id, customer_id)
    VALUES ('order_received:' || its_id, 'order_received', its_id, its_customer);
    RETURN its_id;
END $$;

-- The same for those who would rather insert. Nothing is stored in it.
CREATE VIEW provisor.order_intake AS SELECT NULL::jsonb AS payload, NULL::bigint AS order_id WHERE false;

CREATE FUNCTION provisor.take_in() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.order_id := provisor.submit_order(NEW.payload);
    RETURN NEW;
END $$;

CREATE TRIGGER order_intake_insert INSTEAD OF INSERT ON provisor.order_intake
    FOR EACH ROW EXECUTE FUNCTION provisor.take_in();

-- ── Afterwards ──────────────────────────────────────────────────────────────────────────────────────────────────────

-- 'cancelled' if nothing had been sent for the order, and then nothing will be; else 'too_late', and nothing changes.
--
-- It and the worker's intent update the same row of order_lines, each only from the status that it expects, so one of
-- them loses, at any isolation level. A line that failed before anything was sent stays failed.
CREATE FUNCTION provisor.cancel_order(order_reference text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    its record;
    cancelled integer[];
    name text;
BEGIN
    IF order_reference IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'reference: is required';
    END IF;
    SELECT o.id, o.status INTO its FROM provisor.orders AS o WHERE o.reference = order_reference FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = format('order %s is unknown', order_reference);
    END IF;
    IF its.status = 'cancelled' THEN
        RETURN 'cancelled';
    END IF;
    PERFORM FROM provisor.order_lines AS l WHERE l.order_id = its.id ORDER BY l.id FOR NO KEY UPDATE;
    -- A statement of its own: it sees what was committed while the locks were waited for.
    IF its.status IN ('completed', 'partial', 'failed')
       OR EXISTS (SELECT FROM provisor.order_lines AS l
                  WHERE l.order_id = its.id AND (l.sent OR l.status NOT IN ('pending', 'held', 'failed'))) THEN
        RETURN 'too_late';
    END IF;
    WITH ended AS (
        UPDATE provisor.order_lines AS l SET status = 'cancelled', reason = NULL, updated_at = clock_timestamp()
        WHERE l.order_id = its.id AND l.status IN ('pending', 'held') AND NOT l.sent
        RETURNING l.line)
    SELECT array_agg(line ORDER BY line) INTO cancelled FROM ended;
    UPDATE provisor.orders AS o
    SET status = 'cancelled', reason = NULL, episode = o.episode + 1,
        updated_at = clock_timestamp(), finished_at = clock_timestamp()
    WHERE o.id = its.id;
    UPDATE provisor.effects AS e SET live = false
    FROM provisor.order_lines AS l WHERE l.order_id = its.id AND e.line_id = l.id AND e.live;
    DELETE FROM provisor.transfer_secrets AS s
    USING provisor.order_lines AS l WHERE l.order_id = its.id AND s.line_id = l.id;
    UPDATE provisor.domains AS d
    SET auto_renew_wished = d.auto_renew_before, auto_renew_line_id = NULL, auto_renew_before = NULL
    FROM provisor.order_lines AS l WHERE l.order_id = its.id AND d.auto_renew_line_id = l.id;
    FOR name IN SELECT DISTINCT l.domain FROM provisor.order_lines AS l
                WHERE l.order_id = its.id AND l.kind IN ('domain_register', 'domain_transfer') ORDER BY l.domain LOOP
        PERFORM provisor.assign_domain(name);
    END LOOP;
    INSERT INTO provisor.events (order_id, line, event)
    SELECT its.id, line, 'cancelled' FROM unnest(cancelled || NULL::integer) AS l (line);
    PERFORM pg_notify('provisor_order_status', order_reference);
    RETURN 'cancelled';
END $$;

-- Stores whether a domain of ours is to be renewed by itself, and has it carried out as soon as the domain is there. The
-- name may be given as it was ordered or as an A-label.
CREATE FUNCTION provisor.set_auto_renew(domain_name text, wished boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    name text := provisor.lower_name(domain_name);
    its record;
    found_any boolean := false;
BEGIN
    IF domain_name IS NULL OR wished IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = CASE WHEN domain_name IS NULL THEN 'domain' ELSE 'auto_renew' END || ': is required';
    END IF;
    PERFORM provisor.assign_domain(name);
    FOR its IN
        UPDATE provisor.domains AS d
        SET auto_renew_wished = wished, auto_renew_line_id = NULL, auto_renew_before = NULL
        WHERE d.id IN (SELECT provisor.domains_named(name))
          AND NOT EXISTS (SELECT FROM provisor.order_lines AS l
                          WHERE l.id = d.line_id AND l.status IN ('failed', 'cancelled'))
        RETURNING d.id, d.line_id
    LOOP
        found_any := true;
        INSERT INTO provisor.events (order_id, line, event, detail)
        SELECT l.order_id, l.line, 'auto_renew_wished', jsonb_build_object('auto_renew', wished)
        FROM provisor.order_lines AS l WHERE l.id = its.line_id;
        -- 4 is a domain; lane 4 the audit's.
        INSERT INTO provisor.wakes (id, lane, due_at) VALUES (its.id * 16 + 4, 4, 'infinity') ON CONFLICT (id) DO NOTHING;
        PERFORM provisor.poke(its.id * 16 + 4);
    END LOOP;
    IF NOT found_any THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = format('domain %s is unknown', domain_name);
    END IF;
END $$;

-- Changes what is known of a customer, for emails from now on. Its keys are those of an order's customer. A key that is
-- absent stays as it is; null clears it, as it does in a newer order, and is refused for what an order requires.
CREATE FUNCTION provisor.update_customer(payload jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fault record;
    told provisor.customers;
BEGIN
    SELECT v.path, v.message INTO fault FROM provisor.customer_faults(payload) AS v LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = fault.path || ': ' || fault.message;
    END IF;
    SELECT c.* INTO told FROM provisor.customers AS c
    WHERE c.reference = payload ->> 'reference' FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found',
            MESSAGE = format('customer %s is unknown', payload ->> 'reference');
    END IF;
    told := jsonb_populate_record(told, payload);
    told.locale := coalesce(told.locale, 'en');
    PERFORM provisor.replace_customer(told.id, told);
END $$;

-- ── What the shop may see ───────────────────────────────────────────────────────────────────────────────────────────

CREATE VIEW provisor.order_status AS
SELECT o.id AS order_id, o.reference, o.status, o.reason, o.submitted_at, o.updated_at, o.finished_at
FROM provisor.orders AS o;

CREATE VIEW provisor.line_status AS
SELECT o.id AS order_id, o.reference, l.line, l.kind, l.domain, l.status, l.reason, l.upstream_order_id, l.site_id,
       l.contact_handle, l.cost::numeric AS cost, l.expires_at
FROM provisor.order_lines AS l JOIN provisor.orders AS o ON o.id = l.order_id;

-- Without the rows of lines that bought nothing.
CREATE VIEW provisor.domain_status AS
SELECT d.domain, c.reference AS customer_reference, d.status, d.expires_at, d.auto_renew_wished, d.auto_renew_seen,
       d.seen_at
FROM provisor.domains AS d LEFT JOIN provisor.customers AS c ON c.id = d.customer_id
WHERE NOT EXISTS (SELECT FROM provisor.order_lines AS l
                  WHERE l.id = d.line_id AND l.status IN ('failed', 'cancelled'));

CREATE VIEW provisor.site_status AS
SELECT s.site_id, s.domain, c.reference AS customer_reference, s.status, s.disk_used_bytes, s.disk_quota_bytes, s.seen_at
FROM provisor.sites AS s LEFT JOIN provisor.customers AS c ON c.id = s.customer_id;

CREATE VIEW provisor.order_events AS
SELECT e.id, e.order_id, o.reference, e.line, e.at, e.event, e.detail
FROM provisor.events AS e JOIN provisor.orders AS o ON o.id = e.order_id;
