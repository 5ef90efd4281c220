-- What the audit repairs is changed before the last safe moment of the name's ending alone; what a customer asks for himself
-- is changed whenever it can be.
SET LOCAL lock_timeout = '5s';

ALTER TABLE provisor.domains
    -- The wish was kept once or given up, and it is the audit that has it carried out again.
    ADD COLUMN auto_renew_is_repair boolean NOT NULL DEFAULT false;

CREATE OR REPLACE FUNCTION provisor.begin_wish() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.auto_renew_kept_since := NULL;
    NEW.auto_renew_refused_at := NULL;
    NEW.auto_renew_is_repair := false;
    RETURN NEW;
END $$;
