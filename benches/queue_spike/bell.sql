-- Three tables that a shop fills: without a notification, with one a commit, and with a debounced one.
CREATE SCHEMA spike;
CREATE TABLE spike.intake_silent (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE spike.intake_notify (LIKE spike.intake_silent INCLUDING ALL);
CREATE TABLE spike.intake_debounced (LIKE spike.intake_silent INCLUDING ALL);
-- The last ring in ms since 1970. A sequence is read and set outside the transaction, so all sessions see it at once.
CREATE SEQUENCE spike.rung MINVALUE 0 START 0;
CREATE FUNCTION spike.ring_silent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RETURN NULL;
END $$;
CREATE FUNCTION spike.ring_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('spike_wake', '');
    RETURN NULL;
END $$;
CREATE FUNCTION spike.ring_debounced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    at_ms bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
BEGIN
    -- abs(): a clock that was set back must not silence the bell.
    IF abs(at_ms - (SELECT last_value FROM spike.rung)) > 5 THEN
        PERFORM setval('spike.rung', at_ms);
        PERFORM pg_notify('spike_wake', '');
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ring AFTER INSERT ON spike.intake_silent DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION spike.ring_silent();
CREATE CONSTRAINT TRIGGER ring AFTER INSERT ON spike.intake_notify DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION spike.ring_notify();
CREATE CONSTRAINT TRIGGER ring AFTER INSERT ON spike.intake_debounced DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION spike.ring_debounced();
