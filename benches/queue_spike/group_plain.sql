UPDATE provisor.wakes AS w SET tries = w.tries + 1
FROM unnest($1::int8[]) AS p (id) WHERE w.id = p.id
