-- What an operator has paused; and events that are of no order.

SET LOCAL lock_timeout = '5s';

CREATE TABLE provisor.pauses (
    lane       smallint UNIQUE,              -- one of the two
    upstream   text UNIQUE,
    paused_by  text NOT NULL,
    why        text,
    paused_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nonnulls(lane, upstream) = 1)
);
GRANT SELECT, INSERT, DELETE ON provisor.pauses TO provisor_worker;
GRANT SELECT ON provisor.pauses TO provisor_readonly;

-- Who has paused, resumed and confirmed what, and why.
ALTER TABLE provisor.events ALTER COLUMN order_id DROP NOT NULL;
CREATE INDEX events_operator ON provisor.events (id) WHERE order_id IS NULL;
CREATE VIEW provisor.operator_events WITH (security_barrier) AS
SELECT at, event, detail FROM provisor.events WHERE order_id IS NULL;
GRANT SELECT ON provisor.operator_events TO provisor_worker, provisor_readonly;
