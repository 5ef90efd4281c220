-- A poke. $1 ids. The locks are taken in the order of id.
UPDATE provisor.wakes AS w
SET due_at = LEAST(w.due_at, clock_timestamp()), kicks = w.kicks + 1
WHERE w.id = ANY (ARRAY (
    SELECT q.id FROM provisor.wakes AS q WHERE q.id = ANY ($1::int8[]) ORDER BY q.id FOR UPDATE
))
RETURNING w.id
