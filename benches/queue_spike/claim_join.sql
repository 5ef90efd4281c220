-- The claim written as a join, for comparison only. $1 lanes, $2 limits, $3 watermarks (one of each a lane), $4 lease in ms, $5 owner.
UPDATE provisor.wakes AS w
SET lease_until = now() + $4::int8 * interval '1 ms', run_token = w.run_token + 1, owner = $5::uuid
FROM (
    SELECT due.id
    FROM unnest($1::int2[], $2::int4[], $3::timestamptz[]) AS l (lane, n, watermark)
    CROSS JOIN LATERAL (
        SELECT q.id
        FROM provisor.wakes AS q
        WHERE q.lane = l.lane
          AND q.due_at >= l.watermark
          AND q.due_at <= now()
          AND q.lease_until <= now()
        ORDER BY q.due_at, q.id
        LIMIT l.n
        FOR UPDATE SKIP LOCKED
    ) AS due
) AS c
WHERE w.id = c.id
RETURNING w.id, w.lane, w.due_at, w.run_token, w.kicks, w.tries
