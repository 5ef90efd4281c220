-- A wish that LJPc has refused is no longer about to be carried out: nobody is told that it will be, and it weighs nothing
-- in the brake of later audits.
SET LOCAL lock_timeout = '5s';

ALTER TABLE provisor.domains ADD COLUMN auto_renew_refused_at timestamptz;

CREATE OR REPLACE FUNCTION provisor.begin_wish() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.auto_renew_kept_since := NULL;
    NEW.auto_renew_refused_at := NULL;
    RETURN NEW;
END $$;
