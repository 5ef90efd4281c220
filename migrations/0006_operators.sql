-- What an operator orders by command and no shop may: WHOIS contacts, made and changed. They go through the same ledger as
-- all else, as orders of one line; submit_order goes on to refuse them.

SET LOCAL lock_timeout = '5s';

-- NOT VALID, as every row there is satisfies it: the check that it replaces allowed less.
ALTER TABLE provisor.order_lines
    DROP CONSTRAINT order_lines_kind_check,
    ADD CONSTRAINT order_lines_kind_check CHECK (kind IN
        ('hosting', 'hosting_own', 'domain_register', 'domain_transfer', 'domain_update', 'dns',
         'contact_create', 'contact_update')) NOT VALID;

-- Without `kind`, whose choices are a shop's.
INSERT INTO provisor.document_objects (object, required, optional) VALUES
    ('contact_create', '{name,address,postal_code,city,country,email,phone}', '{organization}'),
    ('contact_update', '{contact_handle}', '{name,organization,address,postal_code,city,country,email,phone}');

-- Every fault of an operator's order, at most 100 of them; no row: it is well formed. Never raises on content. Order,
-- customer and keys are judged by the same rows as a shop's are.
CREATE FUNCTION provisor.operator_order_faults(payload jsonb) RETURNS TABLE (path text, message text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    document jsonb;
    line jsonb;
BEGIN
    path := 'order';
    message := CASE WHEN payload IS NULL OR jsonb_typeof(payload) <> 'object' THEN 'must be an object'
                    ELSE provisor.bulk_fault(payload || '{}') END;
    IF message IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    document := jsonb_strip_nulls(payload);
    line := provisor.bounded_array(document -> 'lines', 1) -> 0;
    IF line IS NULL OR coalesce(line ->> 'kind', '') NOT IN ('contact_create', 'contact_update') THEN
        path := 'lines';
        message := 'must be an array of one line of the kind contact_create or contact_update';
        RETURN NEXT;
        RETURN;
    END IF;
    RETURN QUERY
    WITH its AS MATERIALIZED (
        SELECT o.prefix, o.body, k.required, k.required || k.optional AS known
        FROM (VALUES ('', 'order', document), ('customer.', 'customer', document -> 'customer'),
                     ('lines[0].', line ->> 'kind', line - 'kind')) AS o (prefix, object, body)
        JOIN provisor.document_objects AS k ON k.object = o.object
        WHERE jsonb_typeof(o.body) = 'object')
    SELECT its.prefix || r.key, 'is required'
    FROM its CROSS JOIN LATERAL unnest(its.required) AS r (key)
    WHERE NOT its.body ? r.key
    UNION ALL
    SELECT its.prefix || provisor.shown_key(e.key), provisor.value_fault(e.value, rule)
    FROM its CROSS JOIN LATERAL jsonb_each(its.body) AS e
    LEFT JOIN provisor.document_keys AS rule ON rule.key = e.key AND e.key = ANY (its.known)
    WHERE provisor.value_fault(e.value, rule) IS NOT NULL
    LIMIT 100;
    IF NOT FOUND AND line ->> 'kind' = 'contact_update' AND line - 'kind' - 'contact_handle' = '{}' THEN
        path := 'lines[0]';
        message := 'must have at least one field to be changed';
        RETURN NEXT;
    END IF;
END $$;

-- Takes a document over that was found well formed, within the caller's transaction. The order's id; the same id for the
-- same content.
CREATE FUNCTION provisor.take_over(payload jsonb) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    salt uuid := gen_random_uuid();
    kept jsonb;
    told provisor.customers;
    its_customer bigint;
    its_id bigint;
BEGIN
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

-- Takes a shop's order over, within the caller's transaction.
CREATE OR REPLACE FUNCTION provisor.submit_order(payload jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM provisor.demand_well_formed(payload);
    RETURN provisor.take_over(payload);
END $$;

-- The same for an order of an operator's.
CREATE FUNCTION provisor.submit_operator_order(payload jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fault record;
BEGIN
    SELECT f.path, f.message INTO fault FROM provisor.operator_order_faults(payload) AS f LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = fault.path || ': ' || fault.message;
    END IF;
    RETURN provisor.take_over(payload);
END $$;

-- Has a customer made known to Leanstack, whoever he is: his row is the intent, which the daemon carries out, once. One who
-- was refused is sent once more. His id.
CREATE FUNCTION provisor.introduce_customer(payload jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    fault record;
    told provisor.customers;
    its_id bigint;
BEGIN
    SELECT f.path, f.message INTO fault FROM provisor.customer_faults(payload) AS f LIMIT 1;
    IF NOT FOUND THEN
        SELECT r.key AS path, 'is required for Leanstack' AS message INTO fault
        FROM unnest('{first_name,last_name,email,phone,address,postal_code,city,country}'::text[]) AS r (key)
        WHERE coalesce(payload ->> r.key, '') = '' LIMIT 1;
    END IF;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = fault.path || ': ' || fault.message;
    END IF;
    told := jsonb_populate_record(NULL::provisor.customers, payload);
    told.locale := coalesce(told.locale, 'en');
    its_id := provisor.customer_of(told);
    PERFORM provisor.replace_customer(its_id, told);
    UPDATE provisor.customers AS c SET leanstack_refused = NULL
    WHERE c.id = its_id AND c.leanstack_at IS NULL AND c.leanstack_refused IS NOT NULL;
    RETURN its_id;
END $$;

REVOKE EXECUTE ON FUNCTION provisor.operator_order_faults(jsonb), provisor.take_over(jsonb),
    provisor.submit_operator_order(jsonb), provisor.introduce_customer(jsonb) FROM PUBLIC;
-- wish_of only reads what it is given: a plan reads a document as the worker would.
GRANT EXECUTE ON FUNCTION provisor.operator_order_faults(jsonb), provisor.submit_operator_order(jsonb),
    provisor.introduce_customer(jsonb), provisor.wish_of(jsonb) TO provisor_worker;
