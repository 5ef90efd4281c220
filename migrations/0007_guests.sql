-- Guest manners that all processes share: the pace of each upstream's budget, its failures in a row, and why a circuit
-- is open.

SET LOCAL lock_timeout = '5s';

ALTER TABLE provisor.upstream_budgets
    -- Thousandths of the configured rate that were in force at pace_at. From then on they grow until all are in force.
    ADD COLUMN pace      integer NOT NULL DEFAULT 1000 CHECK (pace BETWEEN 1 AND 1000),
    ADD COLUMN pace_at   timestamptz NOT NULL DEFAULT '2000-01-01 00:00:00Z',
    -- The last reservation: how many requests, and how far apart.
    ADD COLUMN reserved  integer NOT NULL DEFAULT 0,
    ADD COLUMN step      interval NOT NULL DEFAULT '0',
    -- Requests in a row, of all processes, that brought no usable answer, and when the last of them ended.
    ADD COLUMN failures  integer NOT NULL DEFAULT 0,
    ADD COLUMN failed_at timestamptz NOT NULL DEFAULT '2000-01-01 00:00:00Z';

-- The same for each endpoint whose requests have an effect: where these alone fail, everything else says that all is well.
CREATE TABLE provisor.endpoint_failures (
    provider  text NOT NULL,
    endpoint  text NOT NULL,
    failures  integer NOT NULL,
    failed_at timestamptz NOT NULL,
    PRIMARY KEY (provider, endpoint)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON provisor.endpoint_failures TO provisor_worker;
GRANT SELECT ON provisor.endpoint_failures TO provisor_readonly;

ALTER TABLE provisor.circuits
    ADD COLUMN cause text NOT NULL DEFAULT 'key' CHECK (cause IN ('key', 'outage'));

-- The thousandths in force at a time: what they were lowered to, and as much of the whole as has passed of the time in
-- which it comes back from nothing.
CREATE FUNCTION provisor.pace_in_force(pace integer, pace_at timestamptz, at timestamptz, whole_after interval)
    RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT least(1000, pace
        + greatest(0, extract(epoch FROM at - pace_at) * 1000 / extract(epoch FROM whole_after)))::integer
$$;
REVOKE EXECUTE ON FUNCTION provisor.pace_in_force(integer, timestamptz, timestamptz, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION provisor.pace_in_force(integer, timestamptz, timestamptz, interval)
    TO provisor_worker;
