-- What rests leaves the index of due times. Nobody looks for it there, and nearly all that ever was rests: an entry of each
-- cost pages and WAL at the end of every job.
-- In one transaction, not CONCURRENTLY, and without a release between: none has shipped this table, so that no copy of it is
-- large, and no older binary claims by the whole index.
SET LOCAL lock_timeout = '5s';

DROP INDEX provisor.wakes_due;
CREATE INDEX wakes_due ON provisor.wakes (lane, due_at, id) WHERE due_at < 'infinity';

-- The id of the wake up to which what has ended was looked for.
CREATE SEQUENCE provisor.forgotten_to AS bigint MINVALUE 0 START 0;

-- It looks at the next wakes in the order of their ids, ten times as many as it forgets at most, and goes on behind them
-- when it is called again: what stays for long hides nothing, and a call costs the same however many there are. Behind the
-- last one it tells so, and begins again.
DROP FUNCTION provisor.forget_ended(integer);
CREATE FUNCTION provisor.forget_ended(row_limit integer, OUT forgotten integer, OUT is_through boolean)
    LANGUAGE plpgsql STRICT SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    start_after bigint := (SELECT last_value FROM provisor.forgotten_to);
    reached bigint;
BEGIN
    WITH looked_at AS MATERIALIZED (
        SELECT id, due_at FROM provisor.wakes WHERE id > start_after ORDER BY id LIMIT 10 * row_limit),
    ended AS MATERIALIZED (
        SELECT w.id FROM looked_at AS w
        WHERE w.due_at = 'infinity'
          AND CASE w.id % 16
                  WHEN 1 THEN EXISTS (SELECT FROM provisor.order_lines AS l
                                      WHERE l.id = w.id / 16 AND l.status IN ('completed', 'failed', 'cancelled')
                                        AND l.updated_at < clock_timestamp() - interval '30 days')
                  WHEN 2 THEN EXISTS (SELECT FROM provisor.email_outbox AS e
                                      WHERE e.id = w.id / 16 AND e.status <> 'queued'
                                        AND e.settled_at < clock_timestamp() - interval '30 days')
                  WHEN 3 THEN EXISTS (SELECT FROM provisor.orders AS o
                                      WHERE o.id = w.id / 16
                                        AND o.finished_at < clock_timestamp() - interval '30 days')
              END
        ORDER BY w.id LIMIT row_limit),
    gone AS (
        DELETE FROM provisor.wakes AS w USING (SELECT id FROM provisor.wakes JOIN ended USING (id)
                                               WHERE due_at = 'infinity' FOR UPDATE SKIP LOCKED) AS e
        WHERE w.id = e.id AND w.due_at = 'infinity' AND w.lease_until <= clock_timestamp()
        RETURNING w.id)
    SELECT (SELECT count(*) FROM gone),
           CASE WHEN (SELECT count(*) FROM ended) = row_limit THEN (SELECT max(id) FROM ended)
                WHEN (SELECT count(*) FROM looked_at) = 10 * row_limit THEN (SELECT max(id) FROM looked_at)
                ELSE 0 END
    INTO forgotten, reached;
    PERFORM setval('provisor.forgotten_to', reached);
    is_through := reached = 0;
END $$;
REVOKE EXECUTE ON FUNCTION provisor.forget_ended(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION provisor.forget_ended(integer) TO provisor_worker;
