-- A group park. $1 ids, $2 run tokens, $3 kicks seen at the claim, $4 lanes, $5 delays in ms (null: until poked),
-- $6 tries, $7 owner. The locks are taken in the order of id whatever plan the join gets; rows that another holds are
-- left out of the result, and are parked singly by park_one.sql.
UPDATE provisor.wakes AS w
SET lane = p.lane,
    due_at = CASE WHEN w.kicks = p.kicks
                  THEN coalesce(clock_timestamp() + p.delay_ms * interval '1 ms', 'infinity')
                  ELSE clock_timestamp() END,
    lease_until = '-infinity',
    owner = NULL,
    tries = p.tries
FROM unnest($1::int8[], $2::int8[], $3::int4[], $4::int2[], $5::int8[], $6::int4[])
    AS p (id, run_token, kicks, lane, delay_ms, tries)
WHERE w.id = p.id
  AND w.run_token = p.run_token
  AND w.owner = $7::uuid
  AND p.id = ANY (ARRAY (
      SELECT q.id FROM provisor.wakes AS q
      WHERE q.id = ANY ($1::int8[]) ORDER BY q.id FOR UPDATE SKIP LOCKED
  ))
RETURNING w.id, w.due_at
