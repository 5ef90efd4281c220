-- What rests leaves the index of due times. Nobody looks for it there, nearly all that ever was rests, and its entry cost
-- each job that ended two pages and a part of its WAL.
-- In one transaction, not CONCURRENTLY: no release has made this table, so that none is large yet.
SET LOCAL lock_timeout = '5s';

DROP INDEX provisor.wakes_due;
CREATE INDEX wakes_due ON provisor.wakes (lane, due_at, id) WHERE due_at < 'infinity';

-- It looks at no more than ten times as many resting wakes of each kind, the oldest first.
CREATE OR REPLACE FUNCTION provisor.forget_ended(row_limit integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    forgotten integer;
BEGIN
    WITH resting AS MATERIALIZED (
        SELECT w.id
        FROM generate_series(1, 3) AS its (kind)
        CROSS JOIN LATERAL (SELECT id FROM provisor.wakes
                            WHERE id % 16 = its.kind AND due_at = 'infinity'
                            ORDER BY id LIMIT 10 * row_limit) AS w),
    ended AS (
        SELECT r.id FROM resting AS r
        WHERE CASE r.id % 16
                  WHEN 1 THEN EXISTS (SELECT FROM provisor.order_lines AS l
                                      WHERE l.id = r.id / 16 AND l.status IN ('completed', 'failed', 'cancelled')
                                        AND l.updated_at < clock_timestamp() - interval '30 days')
                  WHEN 2 THEN EXISTS (SELECT FROM provisor.email_outbox AS e
                                      WHERE e.id = r.id / 16 AND e.status <> 'queued'
                                        AND e.settled_at < clock_timestamp() - interval '30 days')
                  WHEN 3 THEN EXISTS (SELECT FROM provisor.orders AS o
                                      WHERE o.id = r.id / 16
                                        AND o.finished_at < clock_timestamp() - interval '30 days')
              END
        ORDER BY r.id LIMIT row_limit)
    DELETE FROM provisor.wakes AS w USING (SELECT id FROM provisor.wakes JOIN ended USING (id)
                                           WHERE due_at = 'infinity' FOR UPDATE SKIP LOCKED) AS e
    WHERE w.id = e.id AND w.due_at = 'infinity' AND w.lease_until <= clock_timestamp();
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;
