-- What is done for an order is one trace, whichever process does it and however often: its context is kept with the order,
-- in the form of W3C's Trace Context (https://www.w3.org/TR/trace-context/#traceparent-header-field-values).
--
-- A shop that traces its own work says so in its transaction, before it submits, and the order goes on with that trace:
--
--     SET LOCAL provisor.traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
--
-- What is no such text is passed over: no order fails for its trace.
SET LOCAL lock_timeout = '5s';

CREATE FUNCTION provisor.new_traceparent() RETURNS text
    LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN current_setting('provisor.traceparent', true) ~ '^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$'
            THEN current_setting('provisor.traceparent', true)
        ELSE '00-' || replace(gen_random_uuid()::text, '-', '')
            || '-' || right(replace(gen_random_uuid()::text, '-', ''), 16) || '-01'
    END
$$;

REVOKE EXECUTE ON FUNCTION provisor.new_traceparent() FROM PUBLIC;

-- In two steps, so that no row is rewritten: orders from before have no trace.
ALTER TABLE provisor.orders ADD COLUMN traceparent text;
ALTER TABLE provisor.orders ALTER COLUMN traceparent SET DEFAULT provisor.new_traceparent();
