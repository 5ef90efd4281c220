-- When the fetcher must look again, if nothing rings before. $1 lanes.
SELECT min(n.due_at)
FROM unnest($1::int2[]) AS l (lane)
CROSS JOIN LATERAL (
    SELECT q.due_at FROM provisor.wakes AS q
    WHERE q.lane = l.lane AND q.due_at > now()
    ORDER BY q.due_at LIMIT 1
) AS n
