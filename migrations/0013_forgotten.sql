-- What is known of a customer, and how it is forgotten: personal data goes, what was bought and what it cost stays.

SET LOCAL lock_timeout = '5s';

-- Of an order whose customer is forgotten: the salted hash of what was submitted, so that a repetition is known by it.
ALTER TABLE provisor.orders ADD COLUMN document_hash bytea;

CREATE FUNCTION provisor.hash_of(document jsonb, salt uuid) RETURNS bytea
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT sha256(convert_to(salt::text || document::text, 'UTF8')) $$;

CREATE OR REPLACE FUNCTION provisor.submitted_before(payload jsonb) RETURNS bigint
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    earlier record;
    kept jsonb;
BEGIN
    SELECT o.id, o.document, o.document_salt, o.document_hash INTO earlier
    FROM provisor.orders AS o WHERE o.reference = payload ->> 'reference';
    IF FOUND THEN
        kept := provisor.kept_document(payload, earlier.document_salt);
        IF (earlier.document_hash IS NULL AND earlier.document <> kept)
           OR earlier.document_hash <> provisor.hash_of(kept, earlier.document_salt) THEN
            RAISE EXCEPTION USING ERRCODE = 'unique_violation',
                MESSAGE = format('order %s was already submitted with different content', payload ->> 'reference');
        END IF;
    END IF;
    RETURN earlier.id;
END $$;

-- The customers who are known by an email address. There is no index for it: it is seldom asked.
CREATE FUNCTION provisor.customers_at(email_address text) RETURNS SETOF bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT c.id FROM provisor.customers AS c WHERE email_address <> '' AND lower(c.email) = lower(email_address) $$;

-- The orders of an operator's for a WHOIS contact with this address, whoever their customer is.
CREATE FUNCTION provisor.contacts_at(email_address text) RETURNS SETOF bigint
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.order_id FROM provisor.order_lines AS l
    WHERE l.kind IN ('contact_create', 'contact_update') AND email_address <> ''
      AND lower(l.wish ->> 'email') = lower(email_address)
$$;

-- All that is kept of the customers with this email address; null: there are none.
CREATE FUNCTION provisor.export_customer(email_address text) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_agg(jsonb_build_object(
        'customer', to_jsonb(c) - 'id',
        'orders', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                       'reference', o.reference, 'status', o.status, 'submitted_at', o.submitted_at,
                       'finished_at', o.finished_at, 'document', o.document,
                       'lines', (SELECT jsonb_agg(jsonb_build_object(
                                     'line', l.line, 'kind', l.kind, 'domain', l.domain, 'status', l.status,
                                     'reason', l.reason, 'upstream_order_id', l.upstream_order_id, 'site_id', l.site_id,
                                     'contact_handle', l.contact_handle, 'cost', l.cost::text,
                                     'expires_at', l.expires_at) ORDER BY l.line)
                                 FROM provisor.order_lines AS l WHERE l.order_id = o.id)) ORDER BY o.id), '[]')
                   FROM provisor.orders AS o WHERE o.customer_id = c.id),
        'domains', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                        'domain', d.domain, 'status', d.status, 'expires_at', d.expires_at,
                        'auto_renew_wished', d.auto_renew_wished, 'seen_at', d.seen_at) ORDER BY d.domain), '[]')
                    FROM provisor.domains AS d WHERE d.customer_id = c.id),
        'sites', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                      'site_id', s.site_id, 'domain', s.domain, 'status', s.status, 'seen_at', s.seen_at)
                      ORDER BY s.site_id), '[]')
                  FROM provisor.sites AS s WHERE s.customer_id = c.id),
        'contacts', (SELECT coalesce(jsonb_agg(jsonb_build_object('handle', k.handle, 'known_at', k.known_at)
                                               ORDER BY k.handle), '[]')
                     FROM provisor.contacts AS k WHERE k.customer_id = c.id),
        'emails', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                       'template', m.template, 'status', m.status, 'created_at', m.created_at,
                       'settled_at', m.settled_at, 'last_error', m.last_error) ORDER BY m.id), '[]')
                   FROM provisor.email_outbox AS m WHERE m.customer_id = c.id),
        'reminders', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                          'domain', r.domain, 'expires_on', r.expires_on, 'threshold', r.threshold,
                          'outcome', r.outcome, 'decided_at', r.decided_at) ORDER BY r.decided_at), '[]')
                      FROM provisor.reminders AS r WHERE r.customer_id = c.id)) ORDER BY c.id)
    FROM provisor.customers AS c WHERE c.id IN (SELECT provisor.customers_at(email_address))
$$;

-- What a WHOIS contact's line keeps once its customer is forgotten.
CREATE FUNCTION provisor.without_person(wish jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT wish - '{name,organization,address,postal_code,city,country,email,phone}'::text[]
$$;

-- Forgets the customers with this email address, all of them or none: their details, and the words of others that may
-- repeat them. What was ordered, when, for how much, and what became of it stays, and so do the handles of WHOIS contacts,
-- which the registries have. Answers how much there was; with orders that are under way nothing is done: they are named.
CREATE FUNCTION provisor.forget_customer(email_address text, told jsonb) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    theirs bigint[];
    their_orders bigint[];
    under_way text[];
    names bigint;
BEGIN
    SELECT array_agg(c.id ORDER BY c.id) INTO theirs
    FROM (SELECT id FROM provisor.customers
          WHERE id IN (SELECT provisor.customers_at(email_address)) ORDER BY id FOR UPDATE) AS c;
    SELECT array_agg(o.id), array_agg(o.reference) FILTER (WHERE o.status IN ('accepted', 'in_progress', 'attention'))
    INTO their_orders, under_way
    FROM (SELECT id, reference, status FROM provisor.orders
          WHERE customer_id = ANY (theirs) OR id IN (SELECT provisor.contacts_at(email_address))
          ORDER BY id FOR UPDATE) AS o;
    SELECT count(*) INTO names FROM provisor.domains AS d WHERE d.customer_id = ANY (theirs);
    IF coalesce(theirs, their_orders) IS NOT NULL AND under_way IS NULL THEN
        UPDATE provisor.customers
        SET first_name = '', last_name = '', organization = NULL, email = '', phone = NULL, address = NULL,
            postal_code = NULL, city = NULL, country = NULL, updated_at = clock_timestamp()
        WHERE id = ANY (theirs);
        UPDATE provisor.orders AS o
        SET document_hash = coalesce(o.document_hash, provisor.hash_of(o.document, o.document_salt)),
            document = CASE WHEN o.customer_id = ANY (theirs) THEN o.document - 'customer' ELSE o.document END
                || jsonb_build_object(
                'lines', (SELECT coalesce(jsonb_agg(provisor.without_person(line) ORDER BY n), '[]')
                          FROM jsonb_array_elements(o.document -> 'lines') WITH ORDINALITY AS l (line, n)))
        WHERE o.id = ANY (their_orders);
        UPDATE provisor.order_lines SET wish = provisor.without_person(wish)
        WHERE order_id = ANY (their_orders) AND kind IN ('contact_create', 'contact_update');
        UPDATE provisor.attempts AS a SET detail = NULL
        FROM provisor.effects AS e JOIN provisor.order_lines AS l ON l.id = e.line_id
        WHERE a.effect_id = e.id AND l.order_id = ANY (their_orders);
        -- Both bear a hash of the contact's content.
        UPDATE provisor.effects AS e SET contact_key = NULL
        FROM provisor.order_lines AS l
        WHERE l.id = e.line_id AND l.order_id = ANY (their_orders) AND e.contact_key IS NOT NULL;
        UPDATE provisor.contacts SET key = 'forgotten:' || handle
        WHERE customer_id = ANY (theirs)
           OR handle IN (SELECT l.contact_handle FROM provisor.order_lines AS l
                         WHERE l.order_id = ANY (their_orders) AND l.kind = 'contact_create');
        UPDATE provisor.email_outbox
        SET last_error = NULL, status = CASE WHEN status = 'queued' THEN 'disabled' ELSE status END,
            settled_at = coalesce(settled_at, clock_timestamp())
        WHERE customer_id = ANY (theirs);
        UPDATE provisor.findings AS f SET detail = 'its customer is forgotten'
        FROM provisor.orders AS o
        WHERE o.id = ANY (their_orders) AND f.kind = 'email_stuck' AND f.subject ^@ (o.reference || '/');
        INSERT INTO provisor.events (event, detail)
        VALUES ('customer_forgotten', jsonb_strip_nulls(told) || jsonb_build_object('customers', to_jsonb(theirs)));
    END IF;
    RETURN jsonb_build_object(
        'customers', coalesce(cardinality(theirs), 0), 'orders', coalesce(cardinality(their_orders), 0),
        'domains', names, 'under_way', to_jsonb(coalesce(under_way, '{}')));
END $$;

REVOKE EXECUTE ON FUNCTION provisor.hash_of(jsonb, uuid), provisor.customers_at(text), provisor.contacts_at(text),
    provisor.export_customer(text), provisor.without_person(jsonb), provisor.forget_customer(text, jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION provisor.export_customer(text), provisor.forget_customer(text, jsonb) TO provisor_worker;
