-- A database that was restored from a dump has forgotten what was bought since, as one may have that failed over: nothing
-- irreversible is sent on it before somebody has looked. It is known by the ledger's own oid: a table that was made anew has
-- another.
SET LOCAL lock_timeout = '5s';

ALTER TABLE provisor.timeline
    ADD COLUMN ledger oid;  -- the ledger on which irreversible requests may be made

UPDATE provisor.timeline SET ledger = 'provisor.effects'::regclass;

ALTER TABLE provisor.timeline ALTER COLUMN ledger SET NOT NULL;
