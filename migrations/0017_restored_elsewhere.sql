-- A dump that is restored in another cluster may give the ledger the oid that it had: two restores in a row do. So the
-- cluster is told apart, too, by the number that initdb gave it. Also: an export of what is known of
-- somebody names the WHOIS contacts that an operator made for who is no customer, and the worker rewrites no event.
SET LOCAL lock_timeout = '5s';

ALTER TABLE provisor.timeline
    ADD COLUMN cluster bigint;  -- the cluster on which irreversible requests may be made

UPDATE provisor.timeline SET cluster = (SELECT system_identifier FROM pg_control_system());

CREATE FUNCTION provisor.exported_orders(ids bigint[]) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object(
               'reference', o.reference, 'status', o.status, 'submitted_at', o.submitted_at,
               'finished_at', o.finished_at, 'document', o.document,
               'lines', (SELECT jsonb_agg(jsonb_build_object(
                             'line', l.line, 'kind', l.kind, 'domain', l.domain, 'status', l.status,
                             'reason', l.reason, 'upstream_order_id', l.upstream_order_id, 'site_id', l.site_id,
                             'contact_handle', l.contact_handle, 'cost', l.cost::text,
                             'expires_at', l.expires_at) ORDER BY l.line)
                         FROM provisor.order_lines AS l WHERE l.order_id = o.id)) ORDER BY o.id), '[]')
    FROM provisor.orders AS o WHERE o.id = ANY (ids)
$$;

-- All that is kept of whoever has this email address: one element a customer, and one without a customer for the WHOIS
-- contacts that bear it alone. null: nothing is.
CREATE OR REPLACE FUNCTION provisor.export_customer(email_address text) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH theirs AS (
        SELECT c AS customer, c.id,
               ARRAY (SELECT o.id FROM provisor.orders AS o WHERE o.customer_id = c.id) AS orders
        FROM provisor.customers AS c WHERE c.id IN (SELECT provisor.customers_at(email_address))),
    exported (id, told) AS (
        SELECT c.id, jsonb_build_object(
            'customer', to_jsonb(c.customer) - 'id',
            'orders', provisor.exported_orders(c.orders),
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
                          FROM provisor.reminders AS r WHERE r.customer_id = c.id))
        FROM theirs AS c
        UNION ALL
        SELECT NULL, jsonb_build_object('customer', NULL, 'orders', provisor.exported_orders(array_agg(o.id)))
        FROM (SELECT provisor.contacts_at(email_address) EXCEPT SELECT unnest(orders) FROM theirs) AS o (id)
        HAVING count(*) > 0)
    SELECT jsonb_agg(told ORDER BY id NULLS LAST) FROM exported
$$;

-- Who did what, and why, is not rewritten.
REVOKE UPDATE ON provisor.events FROM provisor_worker;

REVOKE EXECUTE ON FUNCTION provisor.exported_orders(bigint[]) FROM PUBLIC;
