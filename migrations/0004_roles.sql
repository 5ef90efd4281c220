-- Who may do what, and how long history is kept (contract, "Roles").

-- ── Roles ───────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Roles belong to the whole cluster, in which other databases may be migrating at this moment.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['provisor_storefront', 'provisor_worker', 'provisor_readonly'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = role_name);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;  -- another migration made it first
            WHEN insufficient_privilege THEN
                RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
                    MESSAGE = format('the role %s does not exist, and %s may not create roles', role_name, current_user),
                    HINT = (SELECT string_agg(format('CREATE ROLE %I NOLOGIN;', missing.role), ' ')
                            FROM unnest(ARRAY['provisor_storefront', 'provisor_worker', 'provisor_readonly'])
                                 AS missing (role)
                            WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = missing.role));
        END;
    END LOOP;
END $$;

-- ── Retention ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- Makes the partitions of events for this month and the next two, and drops those older than 36 months. What can't be
-- done now (a lock is not to be had, or events_other holds rows of that month) is left to the next call.
CREATE FUNCTION provisor.maintain_partitions() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
    this_month CONSTANT timestamptz := date_trunc('month', clock_timestamp());
    month timestamptz;
    its_name text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('provisor.maintain_partitions')) THEN
        RETURN; -- another session is at it
    END IF;
    FOR n IN 0 .. 2 LOOP
        month := this_month + make_interval(months => n);
        its_name := to_char(month, '"events_y"YYYY"m"MM');
        CONTINUE WHEN to_regclass('provisor.' || its_name) IS NOT NULL;
        BEGIN
            -- Attached, as CREATE TABLE … PARTITION OF would lock all of events against readers.
            EXECUTE format('CREATE TABLE provisor.%I (LIKE provisor.events INCLUDING DEFAULTS)', its_name);
            EXECUTE format('ALTER TABLE provisor.events ATTACH PARTITION provisor.%I FOR VALUES FROM (%L) TO (%L)',
                           its_name, month, month + interval '1 month');
        EXCEPTION WHEN lock_not_available OR check_violation THEN
            RAISE WARNING 'the partition % could not be made now: %', its_name, SQLERRM;
        END;
    END LOOP;
    FOR its_name IN
        SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'provisor.events'::regclass AND c.relname ~ '^events_y[0-9]{4}m[0-9]{2}$'
          AND to_date(c.relname, '"events_y"YYYY"m"MM') < this_month - interval '36 months'
        ORDER BY c.relname
    LOOP
        BEGIN
            EXECUTE format('DROP TABLE provisor.%I', its_name);
        EXCEPTION WHEN lock_not_available THEN
            RAISE WARNING 'the partition % could not be dropped now', its_name;
        END;
    END LOOP;
END $$;

-- Forgets the wakes of what has ended 30 days ago: lines, orders, emails. At most row_limit of them; how many they were.
-- It looks at no more than ten times as many parked wakes of each kind, the oldest first.
CREATE FUNCTION provisor.forget_ended(row_limit integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    forgotten integer;
BEGIN
    WITH parked AS MATERIALIZED (
        SELECT w.id
        FROM generate_series(0, 4) AS lane
        CROSS JOIN LATERAL (SELECT id FROM provisor.wakes
                            WHERE wakes.lane = lane.lane AND due_at = 'infinity'
                            ORDER BY id LIMIT 10 * row_limit) AS w),
    ended AS (
        SELECT p.id FROM parked AS p
        WHERE CASE p.id % 16
                  WHEN 1 THEN EXISTS (SELECT FROM provisor.order_lines AS l
                                      WHERE l.id = p.id / 16 AND l.status IN ('completed', 'failed', 'cancelled')
                                        AND l.updated_at < clock_timestamp() - interval '30 days')
                  WHEN 2 THEN EXISTS (SELECT FROM provisor.email_outbox AS e
                                      WHERE e.id = p.id / 16 AND e.status <> 'queued'
                                        AND e.settled_at < clock_timestamp() - interval '30 days')
                  WHEN 3 THEN EXISTS (SELECT FROM provisor.orders AS o
                                      WHERE o.id = p.id / 16
                                        AND o.finished_at < clock_timestamp() - interval '30 days')
              END
        ORDER BY p.id LIMIT row_limit)
    DELETE FROM provisor.wakes AS w USING (SELECT id FROM provisor.wakes JOIN ended USING (id)
                                           WHERE due_at = 'infinity' FOR UPDATE SKIP LOCKED) AS e
    WHERE w.id = e.id AND w.due_at = 'infinity' AND w.lease_until <= clock_timestamp();
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;

SELECT provisor.maintain_partitions();

-- ── Grants ──────────────────────────────────────────────────────────────────────────────────────────────────────────

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA provisor FROM PUBLIC;
GRANT USAGE ON SCHEMA provisor TO provisor_storefront, provisor_worker, provisor_readonly;

GRANT EXECUTE ON FUNCTION provisor.submit_order(jsonb), provisor.validate_order(jsonb), provisor.cancel_order(text),
    provisor.set_auto_renew(text, boolean), provisor.update_customer(jsonb) TO provisor_storefront, provisor_worker;
GRANT INSERT, SELECT (order_id) ON provisor.order_intake TO provisor_storefront, provisor_worker;
GRANT SELECT ON provisor.order_status, provisor.line_status, provisor.domain_status, provisor.site_status,
    provisor.order_events TO provisor_storefront, provisor_worker, provisor_readonly;

GRANT SELECT, INSERT, UPDATE ON
    provisor.customers, provisor.orders, provisor.order_lines, provisor.transfer_secrets, provisor.effects,
    provisor.attempts, provisor.events, provisor.email_outbox, provisor.domains, provisor.sites, provisor.wakes,
    provisor.processes, provisor.upstream_budgets, provisor.circuits, provisor.timeline TO provisor_worker;
GRANT SELECT ON provisor.schema_info, provisor.document_objects, provisor.document_keys TO provisor_worker;
-- Two rows of one name become one when it is normalised, hence domains; what was is otherwise never deleted.
GRANT DELETE ON provisor.wakes, provisor.processes, provisor.circuits, provisor.transfer_secrets, provisor.domains,
    provisor.sites TO provisor_worker;
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA provisor TO provisor_worker;
GRANT EXECUTE ON FUNCTION provisor.poke(bigint), provisor.notify_workers(), provisor.assign_domain(text),
    provisor.maintain_partitions(), provisor.forget_ended(integer) TO provisor_worker;

-- Figures: no customer, no document, no wish, no free text that an upstream or a mail server wrote.
GRANT SELECT ON provisor.schema_info, provisor.wakes, provisor.processes, provisor.upstream_budgets, provisor.circuits,
    provisor.timeline TO provisor_readonly;
GRANT SELECT (id, line_id, step, n, state, live, claims_site, claims_name, upstream_order_id, site_id, intended_at,
    settled_at) ON provisor.effects TO provisor_readonly;
GRANT SELECT (id, effect_id, http_status, outcome, started_at, ended_at) ON provisor.attempts TO provisor_readonly;
GRANT SELECT (id, template, order_id, line, status, attempts, created_at, settled_at) ON provisor.email_outbox
    TO provisor_readonly;

-- Where the migrations' own record stands in this schema, the worker may see which of them have run.
DO $$
BEGIN
    IF to_regclass('provisor.schema_migrations') IS NOT NULL THEN
        GRANT SELECT ON provisor.schema_migrations TO provisor_worker, provisor_readonly;
    END IF;
END $$;
