-- What the examples' shop needs in Provisor's database, once: a user, its rights, and a table of its own. Run it as the
-- owner, after `provisor migrate`:
--
--   psql "$DATABASE_URL" --file=examples/storefront/shop.sql
--
-- A real shop has its own users and tables, and needs the GRANT alone.
DO $$
BEGIN
    CREATE ROLE shop LOGIN;  -- give it a password where your server asks for one: ALTER ROLE shop PASSWORD '…'
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

GRANT provisor_storefront TO shop;

CREATE SCHEMA IF NOT EXISTS shop AUTHORIZATION shop;
CREATE TABLE IF NOT EXISTS shop.orders (
    reference    text PRIMARY KEY,
    paid_at      timestamptz NOT NULL DEFAULT now(),
    provisor_id  bigint NOT NULL
);
ALTER TABLE shop.orders OWNER TO shop;
