-- A submission costs the shop's transaction less. What is called by submit_order runs under its search_path: it needs none
-- of its own, and to set one took longer than most of these functions. A function in SQL that can't be inlined is planned
-- anew at each call: so these are in plpgsql, which keeps its plans.
SET LOCAL lock_timeout = '5s';

-- The templates of `email.disabled`, as the daemon that started last has them. What is not sent is settled at once: by
-- default each order owes such an email, and for half of all emails nothing more was ever done. While no daemon lives, it is
-- left to the one that starts, which may be set otherwise.
CREATE TABLE provisor.disabled_emails (
    template  text PRIMARY KEY
);
GRANT SELECT, INSERT, DELETE ON provisor.disabled_emails TO provisor_worker;
GRANT SELECT ON provisor.disabled_emails TO provisor_readonly;

CREATE OR REPLACE FUNCTION provisor.new_traceparent() RETURNS text
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    told text := current_setting('provisor.traceparent', true);
BEGIN
    IF told ~ '^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$' THEN
        RETURN told;
    END IF;
    RETURN '00-' || replace(gen_random_uuid()::text, '-', '')
        || '-' || right(replace(gen_random_uuid()::text, '-', ''), 16) || '-01';
END $$;

-- A document without nulls, key by key: what is missing, unknown, or out of bounds; at most 100 faults.
CREATE OR REPLACE FUNCTION provisor.key_faults(document jsonb) RETURNS TABLE (path text, message text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN QUERY
    WITH its AS MATERIALIZED (
        SELECT o.prefix, o.body, k.required, k.required || k.optional AS known
        FROM provisor.objects_of(document) AS o JOIN provisor.document_objects AS k ON k.object = o.object)
    SELECT its.prefix || r.key, 'is required'
    FROM its CROSS JOIN LATERAL unnest(its.required) AS r (key)
    WHERE NOT its.body ? r.key
    UNION ALL
    SELECT its.prefix || provisor.shown_key(e.key), provisor.value_fault(e.value, rule)
    FROM its CROSS JOIN LATERAL jsonb_each(its.body) AS e
    LEFT JOIN provisor.document_keys AS rule ON rule.key = e.key AND e.key = ANY (its.known)
    WHERE provisor.value_fault(e.value, rule) IS NOT NULL
    LIMIT 100;
END $$;

-- Every fault of a document, at most 100 of them; no row: it is well formed. Never raises on content. What keys demand
-- of each other is looked at only once each of them is sound.
CREATE FUNCTION provisor.document_faults(payload jsonb) RETURNS TABLE (path text, message text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    document jsonb;
BEGIN
    path := 'order';
    IF payload IS NULL OR jsonb_typeof(payload) <> 'object' THEN
        message := 'must be an object';
        RETURN NEXT;
        RETURN;
    END IF;
    -- Adding nothing fetches a stored value once, and uncompressed, so that its size is its own.
    document := payload || '{}';
    message := provisor.bulk_fault(document);
    IF message IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    document := jsonb_strip_nulls(document);
    RETURN QUERY SELECT f.path, f.message FROM provisor.key_faults(document) AS f;
    IF NOT FOUND THEN
        RETURN QUERY SELECT f.path, f.message FROM provisor.rule_faults(document) AS f LIMIT 100;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION provisor.validate_order(payload jsonb) RETURNS TABLE (path text, message text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT f.path, f.message FROM provisor.document_faults(payload) AS f;
END $$;

CREATE OR REPLACE FUNCTION provisor.demand_well_formed(payload jsonb) RETURNS void
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    fault record;
BEGIN
    SELECT v.path, v.message INTO fault FROM provisor.document_faults(payload) AS v LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = fault.path || ': ' || fault.message;
    END IF;
END $$;

-- A customer's row: the known one of that reference, whose details are left as they are, or a new one.
CREATE FUNCTION provisor.bring_customer(told provisor.customers, OUT its_id bigint, OUT was_known boolean)
    LANGUAGE plpgsql AS $$
BEGIN
    SELECT c.id INTO its_id FROM provisor.customers AS c WHERE c.reference = told.reference;
    was_known := FOUND;
    IF NOT was_known THEN
        INSERT INTO provisor.customers (reference, first_name, last_name, organization, email, phone, address,
                                        postal_code, city, country, locale)
        VALUES (told.reference, told.first_name, told.last_name, told.organization, told.email, told.phone,
                told.address, told.postal_code, told.city, told.country, told.locale)
        ON CONFLICT (reference) DO NOTHING
        RETURNING id INTO its_id;
        IF NOT FOUND THEN
            -- Another transaction brought the same customer in the meantime.
            SELECT c.id INTO STRICT its_id FROM provisor.customers AS c WHERE c.reference = told.reference;
            was_known := true;
        END IF;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION provisor.customer_of(told provisor.customers) RETURNS bigint
    LANGUAGE plpgsql AS $$
BEGIN
    RETURN (provisor.bring_customer(told)).its_id;
END $$;

-- Takes a document over that was found well formed, within the caller's transaction. The order's id; the same id for the
-- same content.
CREATE OR REPLACE FUNCTION provisor.take_over(payload jsonb) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    salt uuid := gen_random_uuid();
    kept jsonb;
    told provisor.customers;
    its_customer bigint;
    is_known boolean;
    is_disabled boolean;
    its_id bigint;
BEGIN
    IF EXISTS (SELECT FROM provisor.orders AS o WHERE o.reference = payload ->> 'reference') THEN
        RETURN provisor.submitted_before(payload);
    END IF;
    told := jsonb_populate_record(NULL::provisor.customers, payload -> 'customer');
    told.locale := coalesce(told.locale, 'en');
    SELECT b.its_id, b.was_known INTO its_customer, is_known FROM provisor.bring_customer(told) AS b;
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
    IF is_known THEN
        PERFORM provisor.replace_customer(its_customer, told);
    END IF;
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
    is_disabled := EXISTS (SELECT FROM provisor.disabled_emails AS d WHERE d.template = 'order_received')
        AND EXISTS (SELECT FROM provisor.processes AS p WHERE p.heartbeat_at > clock_timestamp() - interval '1 minute');
    INSERT INTO provisor.email_outbox (dedupe_key, template, order_id, customer_id, status, settled_at)
    VALUES ('order_received:' || its_id, 'order_received', its_id, its_customer,
            CASE WHEN is_disabled THEN 'disabled' ELSE 'queued' END, CASE WHEN is_disabled THEN clock_timestamp() END);
    INSERT INTO provisor.events (order_id, event, detail)
    SELECT its_id, 'submitted', jsonb_build_object('lines', jsonb_array_length(kept -> 'lines'))
    UNION ALL
    SELECT its_id, 'email_disabled', '{"template": "order_received"}' WHERE is_disabled;
    RETURN its_id;
END $$;

-- At the order's commit, not before: the workers watch due_at from a watermark on, below which a slow transaction of the
-- shop would otherwise commit. (A wake's id is subject × 16 + kind; 1 is a line, 2 an email. Lanes: 0 place, 3 email.)
--
-- No condition here may be that of a partial index: the plan is kept, and one that was made while few lines were open would
-- go through all of them when there are many. A line that is cancelled by now has nothing to do, and rests.
CREATE OR REPLACE FUNCTION provisor.wake_order() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO provisor.wakes (id, lane, due_at)
    SELECT l.id * 16 + 1, 0, clock_timestamp() FROM provisor.order_lines AS l WHERE l.order_id = NEW.id
    UNION ALL
    SELECT e.id * 16 + 2, 3, clock_timestamp() FROM provisor.email_outbox AS e
    WHERE e.dedupe_key = 'order_received:' || NEW.id AND e.status <> 'disabled'
    ON CONFLICT (id) DO NOTHING;
    PERFORM provisor.notify_workers();
    RETURN NULL;
END $$;

REVOKE EXECUTE ON FUNCTION provisor.document_faults(jsonb), provisor.bring_customer(provisor.customers) FROM PUBLIC;
