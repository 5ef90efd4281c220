-- What lines of names need: how far each has come, the WHOIS contacts that there are, and the ledger's other steps.

SET LOCAL lock_timeout = '5s';

ALTER TABLE provisor.order_lines
    ADD COLUMN milestone text CHECK (milestone IN ('named', 'arranged')),  -- of a line that brings a name
    ADD COLUMN cause text,                 -- why, as far as its customer may read of it
    ADD COLUMN refused text,               -- what of the wishes was refused: the reason of a line that is completed
    ADD COLUMN alternatives jsonb;         -- names that may be had instead of one that is taken

-- A WHOIS contact of a customer, once per content. Shared between no two customers: a change of it would change the names
-- of both.
CREATE TABLE provisor.contacts (
    -- <customer>:<SHA-256 of its content, in hexadecimal>
    key          text PRIMARY KEY,
    handle       text NOT NULL UNIQUE,
    customer_id  bigint NOT NULL REFERENCES provisor.customers,
    known_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX contacts_customer ON provisor.contacts (customer_id);

ALTER TABLE provisor.effects
    ADD COLUMN price numeric(12, 2),       -- what the account was going to be charged, EUR without VAT
    ADD COLUMN contact_key text,           -- of a step that makes a contact: contacts.key
    ADD COLUMN contact_handle text,        -- the contact that was made
    ADD COLUMN before jsonb;               -- what the step replaces: DNS records, for a rollback
-- One contact is made at a time for one content, whichever line asks for it.
CREATE UNIQUE INDEX effects_one_contact ON provisor.effects (contact_key)
    WHERE live AND contact_key IS NOT NULL AND state <> 'not_sent';

-- What has replaced a zone's records, and what they were.
CREATE INDEX effects_zone ON provisor.effects (domain, intended_at) WHERE before IS NOT NULL;

-- Leanstack knows a customer once; what it refused is not sent again before the customer's details change.
ALTER TABLE provisor.customers
    ADD COLUMN leanstack_at timestamptz,
    ADD COLUMN leanstack_refused text,
    ADD COLUMN leanstack_tried_at timestamptz;  -- last, without a known outcome
CREATE INDEX customers_for_leanstack ON provisor.customers (id)
    WHERE leanstack_at IS NULL AND leanstack_refused IS NULL AND phone IS NOT NULL AND address IS NOT NULL
          AND postal_code IS NOT NULL AND city IS NOT NULL AND country IS NOT NULL;

CREATE FUNCTION provisor.forget_refusal() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.leanstack_refused := NULL;
    RETURN NEW;
END $$;

CREATE TRIGGER customers_changed BEFORE UPDATE OF first_name, last_name, email, phone, address, postal_code, city, country
    ON provisor.customers FOR EACH ROW EXECUTE FUNCTION provisor.forget_refusal();

-- A line has brought a name: the name's row is its own from then on, with its customer and its wishes. Another line keeps
-- the row only if it has brought the name itself and is not done with it.
CREATE FUNCTION provisor.own_domain(its_line bigint, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner record;
BEGIN
    SELECT o.customer_id, (l.wish ->> 'auto_renew')::boolean AS auto_renew,
           (l.wish ->> 'transfer_lock')::boolean AS transfer_lock
    INTO owner
    FROM provisor.order_lines AS l JOIN provisor.orders AS o ON o.id = l.order_id
    WHERE l.id = its_line AND l.milestone IS NOT NULL AND l.status NOT IN ('failed', 'cancelled');
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO provisor.domains (domain, customer_id, line_id, auto_renew_wished, transfer_lock_wished)
    VALUES (name, owner.customer_id, its_line, owner.auto_renew, owner.transfer_lock)
    ON CONFLICT (domain) DO UPDATE
    SET customer_id = excluded.customer_id, line_id = excluded.line_id,
        auto_renew_wished = excluded.auto_renew_wished, transfer_lock_wished = excluded.transfer_lock_wished,
        auto_renew_line_id = NULL, auto_renew_before = NULL
    WHERE domains.line_id IS DISTINCT FROM excluded.line_id
      AND NOT EXISTS (SELECT FROM provisor.order_lines AS l
                      WHERE l.id = domains.line_id AND l.milestone IS NOT NULL
                        AND l.status NOT IN ('completed', 'failed', 'cancelled'));
END $$;

-- A line's name has got its one spelling: the row of its wishes follows. Where the spelling has a row already, one of the
-- two remains: the wishes in it are the oldest live line's, as assign_domain has it, and it is known by both spellings.
CREATE FUNCTION provisor.respell_domain(its_line bigint, name text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    mine provisor.domains;
BEGIN
    SELECT d.* INTO mine FROM provisor.domains AS d WHERE d.line_id = its_line AND d.domain <> name FOR UPDATE;
    IF FOUND THEN
        UPDATE provisor.domains AS d SET asked_as = mine.asked_as WHERE d.domain = name;
        IF FOUND THEN
            UPDATE provisor.domains AS d
            SET customer_id = mine.customer_id, line_id = its_line, auto_renew_wished = mine.auto_renew_wished,
                auto_renew_line_id = mine.auto_renew_line_id, auto_renew_before = mine.auto_renew_before,
                transfer_lock_wished = mine.transfer_lock_wished
            WHERE d.domain = name
              AND EXISTS (SELECT FROM provisor.order_lines AS l
                          WHERE l.id = d.line_id AND l.id > its_line
                            AND l.status IN ('pending', 'placing', 'in_doubt', 'provisioning', 'held'));
            DELETE FROM provisor.domains AS d WHERE d.id = mine.id;
        ELSE
            UPDATE provisor.domains AS d SET domain = name WHERE d.id = mine.id;
        END IF;
    END IF;
    PERFORM provisor.assign_domain(name);
    PERFORM provisor.own_domain(its_line, name);
END $$;

REVOKE EXECUTE ON FUNCTION provisor.forget_refusal(), provisor.own_domain(bigint, text),
    provisor.respell_domain(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION provisor.respell_domain(bigint, text) TO provisor_worker;
GRANT SELECT, INSERT, DELETE ON provisor.contacts TO provisor_worker;
