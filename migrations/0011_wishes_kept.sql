-- LJPc may answer out of a stored row, so a wish for the renewal is believed to be kept when two readings that are some time
-- apart say so.
SET LOCAL lock_timeout = '5s';

ALTER TABLE provisor.domains
    -- Since when each reading of the name shows what is wished; null: the latest does not, or the wish is younger.
    ADD COLUMN auto_renew_kept_since timestamptz;

CREATE FUNCTION provisor.begin_wish() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.auto_renew_kept_since := NULL;
    RETURN NEW;
END $$;

REVOKE EXECUTE ON FUNCTION provisor.begin_wish() FROM PUBLIC;

-- The same wish, said again, begins anew as well: a customer says it again because he sees something else.
CREATE TRIGGER domains_wish BEFORE UPDATE OF auto_renew_wished ON provisor.domains
    FOR EACH ROW EXECUTE FUNCTION provisor.begin_wish();
