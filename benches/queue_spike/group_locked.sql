UPDATE provisor.wakes AS w SET tries = w.tries + 1
FROM unnest($1::int8[]) AS p (id) WHERE w.id = p.id
  AND p.id = ANY (ARRAY (
      SELECT q.id FROM provisor.wakes AS q
      WHERE q.id = ANY ($1::int8[]) ORDER BY q.id FOR UPDATE SKIP LOCKED
  ))
