-- A park of one row that waits for its lock (under lock_timeout). Parameters as in park.sql, scalar.
UPDATE provisor.wakes AS w
SET lane = $4::int2,
    due_at = CASE WHEN w.kicks = $3::int4
                  THEN coalesce(clock_timestamp() + $5::int8 * interval '1 ms', 'infinity')
                  ELSE clock_timestamp() END,
    lease_until = '-infinity',
    owner = NULL,
    tries = $6::int4
WHERE w.id = $1::int8 AND w.run_token = $2::int8 AND w.owner = $7::uuid
RETURNING w.id, w.due_at
