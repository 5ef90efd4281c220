-- What became of an LJPc order in doubt is looked for by what it has brought, and by its number.

SET LOCAL lock_timeout = '5s';

-- LJPc's list of the account's sites, as it was read last. A site that no listing from before an intent shows is new.
CREATE TABLE provisor.listed_sites (
    site_id   bigint PRIMARY KEY,
    domain    text,                        -- in A-labels; as LJPc writes it where it is no name
    first_at  timestamptz NOT NULL,        -- when the first listing that shows it was begun
    last_at   timestamptz NOT NULL         -- when the last one was
);
CREATE INDEX listed_sites_domain ON provisor.listed_sites (domain);

-- Each whole listing of the last weeks.
CREATE TABLE provisor.site_listings (
    begun_at  timestamptz PRIMARY KEY,
    ended_at  timestamptz NOT NULL,
    sites     bigint NOT NULL              -- how many it shows
);
CREATE INDEX site_listings_ended ON provisor.site_listings (ended_at);

ALTER TABLE provisor.effects
    ADD COLUMN probe jsonb,                -- how far it was looked for by its number (order/doubt/probe.rs)
    ADD COLUMN looks jsonb NOT NULL DEFAULT '{}';  -- what was looked at, when last, how often, and what was seen
-- Who else may wait for a site of a name.
CREATE INDEX effects_awaiting_site ON provisor.effects (domain) WHERE claims_site AND site_id IS NULL;

GRANT SELECT, INSERT, UPDATE, DELETE ON provisor.listed_sites, provisor.site_listings TO provisor_worker;
GRANT SELECT ON provisor.listed_sites, provisor.site_listings TO provisor_readonly;
