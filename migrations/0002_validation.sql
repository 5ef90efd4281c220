-- What an order document must look like (contract, "The order document"): all that can be judged without the catalogue.
--
-- The keys and their bounds are rows of a table, and one statement holds a whole document against them. Each order pays
-- for this in the shop's transaction: written as a condition for each key, preparing the conditions alone took longer
-- than all of this does. Nothing here may raise, whatever the document holds: a shop must be able to ask.
-- A JSON null counts as absent everywhere.

-- The objects of a document: the order, its customer, a line by its kind, a DNS record; and the keys of each.
-- What a key's presence demands of another key stands in line_fault and rule_faults.
CREATE TABLE provisor.document_objects (
    object    text PRIMARY KEY,
    required  text[] NOT NULL,
    optional  text[] NOT NULL
);

INSERT INTO provisor.document_objects (object, required, optional) VALUES
    ('order',           '{reference,customer,lines}', '{}'),
    ('customer',        '{first_name,last_name,email}',
                        '{reference,organization,phone,address,postal_code,city,country,locale}'),
    ('hosting',         '{kind,domain}', '{package,product_uuid,billing_period,target_url,max_cost}'),
    ('hosting_own',     '{kind,domain,space_id}', '{}'),
    ('domain_register', '{kind,domain}',
                        '{years,nameservers,contact_handle,auto_renew,transfer_lock,dns,max_cost,allow_premium,route}'),
    ('domain_transfer', '{kind,domain,auth_code}',
                        '{nameservers,contact_handle,auto_renew,transfer_lock,dns,max_cost,allow_premium,route}'),
    ('domain_update',   '{kind,domain}', '{nameservers,auto_renew,transfer_lock,contact_handle}'),
    ('dns',             '{kind,domain,records}', '{}'),
    ('record',          '{type,name,content,ttl}', '{prio}');

-- The bounds of each key, which hold wherever it stands.
CREATE TABLE provisor.document_keys (
    key      text PRIMARY KEY,
    type     text NOT NULL CHECK (type IN ('string', 'number', 'boolean', 'array', 'object')),
    lowest   bigint,         -- of a string: its characters; of a number: itself, and it is whole; of an array: its elements
    highest  bigint,
    choices  text[],         -- what a string must be one of
    pattern  text,           -- what a string must match
    meaning  text NOT NULL   -- all this in words, as an error tells it: 'must be …'
);

INSERT INTO provisor.document_keys (key, type, lowest, highest, meaning) VALUES
    ('customer',      'object', NULL, NULL, 'an object'),
    ('lines',         'array', 1, 50, 'an array of 1 to 50 lines'),
    ('nameservers',   'array', 2, 13, 'an array of 2 to 13 host names'),
    ('dns',           'array', 0, 500, 'an array of at most 500 records'),
    ('records',       'array', 0, 500, 'an array of at most 500 records'),
    ('years',         'number', 1, 10, 'a whole number from 1 to 10'),
    ('space_id',      'number', 1, 9223372036854775807, 'a positive whole number below 2^63'),
    ('ttl',           'number', 60, 86400, 'a whole number from 60 to 86400'),
    ('prio',          'number', 0, 65535, 'a whole number from 0 to 65535'),
    ('auto_renew',    'boolean', NULL, NULL, 'true or false'),
    ('transfer_lock', 'boolean', NULL, NULL, 'true or false'),
    ('allow_premium', 'boolean', NULL, NULL, 'true or false'),
    -- Whatever a registry gives out is an auth code, control characters too.
    ('auth_code',     'string', 1, 255, 'a string of 1 to 255 characters');

-- Free text. Control characters are written out, as classes such as [[:cntrl:]] depend on the database's locale.
INSERT INTO provisor.document_keys (key, type, lowest, highest, pattern, meaning)
SELECT key, 'string', lowest, highest, '^[^\u0001-\u001f\u007f-\u009f]*$',
       'a string of ' || lowest || ' to ' || highest || ' characters, none of them a control character'
FROM (VALUES ('first_name', 1, 128), ('last_name', 1, 128), ('organization', 0, 128), ('address', 1, 255),
             ('postal_code', 1, 16), ('city', 0, 128), ('contact_handle', 1, 255), ('name', 1, 255),
             ('content', 1, 4096)) AS free_text (key, lowest, highest);

INSERT INTO provisor.document_keys (key, type, choices, meaning)
SELECT key, 'string', choices, 'one of ' || array_to_string(choices, ', ')
FROM (VALUES ('kind', '{hosting,hosting_own,domain_register,domain_transfer,domain_update,dns}'::text[]),
             ('locale', '{en,nl}'), ('billing_period', '{monthly,yearly}'), ('route', '{direct,order}'),
             ('type', '{A,AAAA,CNAME,MX,TXT,SRV,CAA}')) AS choice (key, choices);

-- Lengths stay out of the patterns, as [!-~]{1,128} compiles to a large automaton. <blank> stands for the white space of
-- Unicode and for control characters.
INSERT INTO provisor.document_keys (key, type, lowest, highest, pattern, meaning)
SELECT key, 'string', lowest, highest,
       replace(pattern, '<blank>', '\u0001-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000'), meaning
FROM (VALUES
    ('reference', 1, 128, '^[!-~]+$', '1 to 128 printable ASCII characters without spaces'),
    ('email', 1, 254, '^[^@<blank>]+@[^@.<blank>]+(\.[^@.<blank>]+)+$', 'an email address of at most 254 characters'),
    ('phone', 1, 16, '^\+[1-9][0-9]{7,14}$', 'an international phone number such as +31612345678'),
    ('country', 2, 2, '^[A-Z]+$', 'a country code of two capital letters'),
    -- In Unicode or in A-labels: the worker normalises (IDNA), and the catalogue knows which names can be had.
    ('domain', 3, 253, '^[^./:@?#_<blank>]+(\.[^./:@?#_<blank>]+)+$',
        'a domain name: two or more labels of 1 to 63 characters, 253 in all'),
    ('package', 1, 64, '^hosting_([1-9][0-9]*gb|forward|dns)$', 'hosting_<N>gb, hosting_forward or hosting_dns'),
    ('product_uuid', 36, 36, '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$', 'a UUID'),
    ('target_url', 1, 2048, '^[Hh][Tt][Tt][Pp][Ss]?://[^/?#<blank>][^<blank>]*$',
        'an http or https URL of at most 2048 characters'),
    ('max_cost', 1, 11, '^[0-9]{1,8}(\.[0-9]{1,2})?$', 'an amount as a string, such as "5.50"'))
    AS patterned (key, lowest, highest, pattern, meaning);

-- Autovacuum passes over so small tables, and the plan depends on their sizes being known.
ANALYZE provisor.document_objects, provisor.document_keys;

-- What is wrong with a value, or null. A bound that a key hasn't got is null, and so comes to nothing. Only strings are
-- made texts: 1e131071 would be one of a hundred thousand digits. More than 20 decimals are refused even if all of them
-- are 0, as a number may bring 16,383 (bulk_fault relies on both).
CREATE FUNCTION provisor.value_fault(value jsonb, rule provisor.document_keys) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN rule.key IS NULL THEN 'is not a known key'
        WHEN jsonb_typeof(value) <> rule.type THEN 'must be ' || rule.meaning
        WHEN CASE rule.type
                 WHEN 'string' THEN length(value #>> '{}') < rule.lowest OR length(value #>> '{}') > rule.highest
                     OR (value #>> '{}') <> ALL (rule.choices) OR (value #>> '{}') !~ rule.pattern
                 WHEN 'number' THEN value::numeric < rule.lowest OR value::numeric > rule.highest
                     OR scale(value::numeric) > 20 OR trunc(value::numeric) <> value::numeric
                 WHEN 'array' THEN jsonb_array_length(value) < rule.lowest OR jsonb_array_length(value) > rule.highest
             END THEN 'must be ' || rule.meaning
    END;

-- An unknown key as an error may name it: the shop wrote it, so it may be long and hold anything.
CREATE FUNCTION provisor.shown_key(key text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN left(regexp_replace(key, '[\u0001-\u001f\u007f-\u009f]', '?', 'g'), 64);

-- A value if it is an array of at most so many elements, else null. Its conditions are nested, as PostgreSQL may
-- evaluate conditions that stand side by side in any order.
CREATE FUNCTION provisor.bounded_array(value jsonb, most integer) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN jsonb_typeof(value) = 'array' THEN CASE WHEN jsonb_array_length(value) <= most THEN value END END;

-- The objects of a document, each with what stands before its keys in a path, and the name by which document_objects
-- knows it. What is no object, and a line of no known kind, has a fault of its own (line_fault) and is left out; so is
-- what stands in an array of too many elements.
CREATE FUNCTION provisor.objects_of(document jsonb) RETURNS TABLE (prefix text, object text, body jsonb)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        WITH lines AS MATERIALIZED (
            SELECT 'lines[' || (n - 1)::text || '].' AS prefix, line ->> 'kind' AS kind, line AS body
            FROM jsonb_array_elements(provisor.bounded_array(document -> 'lines', 50)) WITH ORDINALITY AS l (line, n)
            WHERE line ->> 'kind' IN
                      ('hosting', 'hosting_own', 'domain_register', 'domain_transfer', 'domain_update', 'dns'))
        SELECT '', 'order', document
        UNION ALL
        SELECT 'customer.', 'customer', document -> 'customer'
        WHERE jsonb_typeof(document -> 'customer') = 'object'
        UNION ALL
        SELECT lines.prefix, lines.kind, lines.body FROM lines
        UNION ALL
        SELECT lines.prefix || list.key || '[' || (r.n - 1)::text || '].', 'record', r.record
        FROM lines
        CROSS JOIN LATERAL (VALUES ('dns'), ('records')) AS list (key)
        CROSS JOIN LATERAL jsonb_array_elements(provisor.bounded_array(lines.body -> list.key, 500))
                           WITH ORDINALITY AS r (record, n)
        WHERE jsonb_typeof(r.record) = 'object';
    END;

-- A document without nulls, key by key: what is missing, unknown, or out of bounds.
CREATE FUNCTION provisor.key_faults(document jsonb) RETURNS TABLE (path text, message text)
    LANGUAGE sql STABLE PARALLEL SAFE
    BEGIN ATOMIC
        WITH its AS MATERIALIZED (
            SELECT o.prefix, o.body, k.required, k.required || k.optional AS known
            FROM provisor.objects_of(document) AS o JOIN provisor.document_objects AS k ON k.object = o.object)
        SELECT its.prefix || r.key, 'is required'
        FROM its CROSS JOIN LATERAL unnest(its.required) AS r (key)
        WHERE NOT its.body ? r.key
        UNION ALL
        SELECT its.prefix || provisor.shown_key(e.key), provisor.value_fault(e.value, rule)
        FROM its CROSS JOIN LATERAL jsonb_each(its.body) AS e
        LEFT JOIN provisor.document_keys AS rule ON rule.key = e.key AND e.key = ANY (its.known)
        WHERE provisor.value_fault(e.value, rule) IS NOT NULL;
    END;

-- The faults of a line's name servers, which are known to be an array.
CREATE FUNCTION provisor.nameserver_faults(at text, nameservers jsonb) RETURNS TABLE (path text, message text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT at || '[' || (e.n - 1)::text || ']', 'must be a host name'
        FROM jsonb_array_elements(nameservers) WITH ORDINALITY AS e (name, n)
        WHERE jsonb_typeof(e.name) <> 'string' OR length(e.name #>> '{}') > 253 OR (e.name #>> '{}') ~ '[^.]{64}'
           OR (e.name #>> '{}') !~ '^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$'
        UNION ALL
        SELECT at, 'must not repeat a name'
        WHERE (SELECT count(*) > count(DISTINCT lower(e.name COLLATE "C"))
               FROM jsonb_array_elements_text(nameservers) AS e (name) WHERE e.name IS NOT NULL);
    END;

-- The faults of a line's DNS records, which are known to be an array, beyond those of their keys.
CREATE FUNCTION provisor.record_faults(at text, records jsonb) RETURNS TABLE (path text, message text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
        SELECT at || '[' || (e.n - 1)::text || ']', 'must be an object'
        FROM jsonb_array_elements(records) WITH ORDINALITY AS e (record, n)
        WHERE jsonb_typeof(e.record) <> 'object'
        UNION ALL
        SELECT at || '[' || (e.n - 1)::text || '].prio',
               CASE WHEN e.record ->> 'prio' IS NULL THEN 'is required for MX and SRV'
                    ELSE 'must be null or absent but for MX and SRV' END
        FROM jsonb_array_elements(records) WITH ORDINALITY AS e (record, n)
        WHERE (e.record ->> 'type' IN ('MX', 'SRV')) = (e.record ->> 'prio' IS NULL);
    END;

-- Is the document too large, or nested too deeply, to be judged key by key? Null: no.
--
-- The limit is 256 KiB of text, but the text can't always be made: [1e131071, …] is ten thousand times as long as the
-- jsonb that holds it. So first what costs nothing. A document that can be valid takes less than twice its text as jsonb;
-- and one of at most 40,000 octets is shorter than 256 KiB as text, even if all of it needs escapes, unless it holds
-- endless numbers. Those are faults wherever they stand, so a document that holds one is left to the rules.
CREATE FUNCTION provisor.bulk_fault(document jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    too_large CONSTANT text := 'must not be larger than 256 KiB';
    octets integer := pg_column_size(document);
BEGIN
    IF octets > 2 * 262144 THEN
        RETURN too_large;
    END IF;
    -- PostgreSQL's own functions raise when they run out of stack, so depth is judged before any of them recurses. A level
    -- takes 8 octets, and a thousand levels are no danger.
    IF octets > 8000 AND jsonb_path_exists(document, '$.**{20}') THEN
        RETURN 'must not be nested more than 20 levels deep';
    END IF;
    -- Each a statement: of conditions that are joined by AND, the planner may work out the last one first.
    IF octets <= 40000 THEN
        RETURN NULL;
    END IF;
    IF EXISTS (SELECT FROM jsonb_path_query(document, '$.** ? (@.type() == "number")') AS number
               WHERE abs(number::numeric) > 1e19 OR scale(number::numeric) > 20) THEN
        RETURN NULL;
    END IF;
    IF octet_length(document::text) > 262144 THEN
        RETURN too_large;
    END IF;
    RETURN NULL;
END $$;

-- The first fault of a line in what its keys demand of each other, each of them being sound: {the end of its path, what}.
CREATE FUNCTION provisor.line_fault(line jsonb) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN jsonb_typeof(line) <> 'object' THEN ARRAY['', 'must be an object']
        WHEN line -> 'kind' IS NULL THEN ARRAY['.kind', 'is required']
        WHEN line ->> 'kind' NOT IN ('hosting', 'hosting_own', 'domain_register', 'domain_transfer', 'domain_update', 'dns')
            THEN ARRAY['.kind', 'must be one of hosting, hosting_own, domain_register, domain_transfer, domain_update, dns']
        WHEN length(line ->> 'domain') > 63 AND line ->> 'domain' ~ '[^.]{64}'
            THEN ARRAY['.domain', 'must not have a label of more than 63 characters']
        WHEN line ->> 'kind' = 'hosting' THEN CASE
            WHEN line ->> 'package' IS NULL AND line ->> 'product_uuid' IS NULL
                THEN ARRAY['.package', 'is required, or else product_uuid']
            WHEN line ->> 'package' IS NOT NULL AND line ->> 'product_uuid' IS NOT NULL
                THEN ARRAY['.product_uuid', 'is not allowed beside package']
            WHEN line ->> 'package' = 'hosting_forward' AND line ->> 'target_url' IS NULL
                THEN ARRAY['.target_url', 'is required for hosting_forward'] END
        WHEN line ->> 'kind' = 'domain_update'
             AND coalesce(line -> 'nameservers', line -> 'auto_renew', line -> 'transfer_lock', line -> 'contact_handle')
                 IS NULL
            THEN ARRAY['', 'must have at least one of nameservers, auto_renew, transfer_lock, contact_handle']
        WHEN line ->> 'route' = 'order' AND (line ->> 'years')::numeric > 1
            THEN ARRAY['.years', 'must be 1 with the route order']
        WHEN (line ->> 'route' = 'order' OR line ->> 'kind' = 'domain_update')
             AND jsonb_array_length(line -> 'nameservers') > 4
            THEN ARRAY['.nameservers', 'must be an array of 2 to 4 host names here']
    END;

-- The faults that are left when all keys of the document are sound.
CREATE FUNCTION provisor.rule_faults(document jsonb) RETURNS TABLE (path text, message text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    at text;
    line jsonb;
    fault text[];
    needs_contact boolean := false;
BEGIN
    FOR n IN 0 .. jsonb_array_length(document -> 'lines') - 1 LOOP
        at := 'lines[' || n || ']';
        line := document -> 'lines' -> n;
        fault := provisor.line_fault(line);
        IF fault IS NOT NULL THEN
            path := at || fault[1];
            message := fault[2];
            RETURN NEXT;
            CONTINUE;
        END IF;
        IF line ? 'nameservers' THEN
            RETURN QUERY SELECT f.path, f.message
                         FROM provisor.nameserver_faults(at || '.nameservers', line -> 'nameservers') AS f;
        END IF;
        IF line ?| '{dns,records}' THEN
            RETURN QUERY SELECT f.path, f.message
                         FROM provisor.record_faults(at || CASE WHEN line ? 'dns' THEN '.dns' ELSE '.records' END,
                                                     coalesce(line -> 'dns', line -> 'records')) AS f;
        END IF;
        needs_contact := needs_contact OR (line ->> 'kind' IN ('domain_register', 'domain_transfer')
                                           AND NOT line ? 'contact_handle');
    END LOOP;
    IF needs_contact THEN
        FOREACH at IN ARRAY '{address,city,postal_code,country,phone}'::text[] LOOP
            IF coalesce(document -> 'customer' ->> at, '') = '' THEN
                path := 'customer.' || at;
                message := 'is required where a domain comes without contact_handle';
                RETURN NEXT;
            END IF;
        END LOOP;
    END IF;
END $$;

-- Every fault of a document, at most 100 of them; no row: it is well formed. Never raises on content. What keys demand
-- of each other is looked at only once each of them is sound.
CREATE FUNCTION provisor.validate_order(payload jsonb) RETURNS TABLE (path text, message text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    document jsonb;
BEGIN
    path := 'order';
    IF payload IS NULL OR jsonb_typeof(payload) <> 'object' THEN
        message := 'must be an object';
        RETURN NEXT;
        RETURN;
    END IF;
    -- Adding nothing fetches a stored value once, and uncompressed, so that its size is its own.
    document := payload || '{}';
    message := provisor.bulk_fault(document);
    IF message IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    document := jsonb_strip_nulls(document);
    RETURN QUERY SELECT f.path, f.message FROM provisor.key_faults(document) AS f LIMIT 100;
    IF NOT FOUND THEN
        RETURN QUERY SELECT f.path, f.message FROM provisor.rule_faults(document) AS f LIMIT 100;
    END IF;
END $$;

-- Every fault of a customer's details as update_customer takes them.
CREATE FUNCTION provisor.customer_faults(payload jsonb) RETURNS TABLE (path text, message text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    path := 'customer';
    message := CASE WHEN payload IS NULL OR jsonb_typeof(payload) <> 'object' THEN 'must be an object'
                    ELSE provisor.bulk_fault(payload || '{}') END;
    IF message IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT r.key, 'is required'
    FROM unnest(ARRAY['reference', 'first_name', 'last_name', 'email']) AS r (key)
    WHERE payload -> r.key = 'null' OR (r.key = 'reference' AND NOT payload ? r.key)
    UNION ALL
    SELECT provisor.shown_key(e.key), provisor.value_fault(e.value, rule)
    FROM provisor.document_objects AS o CROSS JOIN LATERAL jsonb_each(payload) AS e
    LEFT JOIN provisor.document_keys AS rule ON rule.key = e.key AND e.key = ANY (o.required || o.optional)
    WHERE o.object = 'customer' AND e.value <> 'null' AND provisor.value_fault(e.value, rule) IS NOT NULL
    LIMIT 100;
END $$;
