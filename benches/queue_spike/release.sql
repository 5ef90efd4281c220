-- The early release of a dead owner's wakes. $1 owner. due_at moves to now, above every process's watermark.
UPDATE provisor.wakes AS w
SET due_at = clock_timestamp(), lease_until = '-infinity', owner = NULL, run_token = w.run_token + 1
WHERE w.id = ANY (ARRAY (
    SELECT q.id FROM provisor.wakes AS q
    WHERE q.lane = ANY ('{0,1,2,3,4}'::int2[]) AND q.due_at <= now()
      AND q.owner = $1::uuid AND q.lease_until > now() AND NOT q.firm
    ORDER BY q.id FOR UPDATE SKIP LOCKED
))
RETURNING w.id
