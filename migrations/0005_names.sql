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

-- Leanstack knows a customer once; what it refused is not sent again before the customer's details change.
ALTER TABLE provisor.customers
    ADD COLUMN leanstack_at timestamptz,
    ADD COLUMN leanstack_refused text;
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
END $$;

REVOKE EXECUTE ON FUNCTION provisor.forget_refusal(), provisor.respell_domain(bigint, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION provisor.respell_domain(bigint, text) TO provisor_worker;
GRANT SELECT, INSERT ON provisor.contacts TO provisor_worker;
