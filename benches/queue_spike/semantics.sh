#!/usr/bin/env bash
# What the queue's statements promise, checked against a database of ten due wakes (ids 16, 32, …, 160).
#   semantics.sh PSQL URL
# Prints a line for each promise; exits 1 if one is broken.
set -euo pipefail
psql=$1 url=$2 sql=$(cd "$(dirname "$0")" && pwd)
me=00000000-0000-4000-8000-000000000001 other=00000000-0000-4000-8000-000000000002
broken=0
q() { "$psql" -X -qAt -v ON_ERROR_STOP=1 "$url" "$@"; }
body() { grep -v '^--' "$sql/$1.sql"; }
# With the proposed column: claim and park clear it.
firm() { body "$1" | sed 's/owner = \$5::uuid/&, firm = false/; s/owner = NULL/&, firm = false/'; }
expect() { # WHAT WANTED GOT
    if [ "$2" = "$3" ]; then echo "ok      $1"; else echo "BROKEN  $1: wanted $2, got $3"; broken=1; fi
}
# run STATEMENT TYPES ARGUMENTS: how many rows it touched.
run() { q -c "PREPARE s ($2) AS WITH r AS ($(firm "$1")) SELECT count(*) FROM r" -c "EXECUTE s ($3)"; }
claim() { run claim "int2[], int4[], timestamptz[], int8, uuid" "'{0,1,2,3,4}', array_fill($1, ARRAY[5]), array_fill('${2:--infinity}'::timestamptz, ARRAY[5]), ${4:-60000}, '${3:-$me}'"; }
park() { run "${5:-park}" "int8[], int8[], int4[], int2[], int8[], int4[], uuid" "'{$1}', '{$2}', '{$3}', '{0}', '{$4}', '{0}', '${6:-$me}'"; }
poke() { run poke "int8[]" "'{$1}'"; }
# state ID: due now, later or never; leased or free.
state() {
    q -c "SELECT CASE WHEN due_at = 'infinity' THEN 'never' WHEN due_at <= clock_timestamp() THEN 'due' ELSE 'later' END
        || CASE WHEN lease_until > now() THEN ' leased' ELSE ' free' END FROM provisor.wakes WHERE id = $1"
}

q -f "$sql/firm.sql"

expect "a claim takes what is due" 10 "$(claim 100)"
expect "a second claim takes nothing that is leased" 0 "$(claim 100)"
expect "a park without a poke waits for its delay" "1 later free" "$(park 16 1 0 60000) $(state 16)"
expect "a park without a delay waits for a poke" "1 never free" "$(park 32 1 0 NULL) $(state 32)"
expect "a poke makes it due" "1 due free" "$(poke 32) $(state 32)"
expect "a poke of a running wake leaves it leased" "1 due leased" "$(poke 48) $(state 48)"
expect "which no claim takes" 1 "$(claim 100)" # 32 alone
expect "and its park, which has not seen the poke, comes due at once" "1 due free" "$(park 48 1 0 60000) $(state 48)"
expect "an old run token parks nothing" 0 "$(park 64 0 0 60000)"
expect "another owner parks nothing" 0 "$(park 64 1 0 60000 park $other)"
expect "the holder parks once" 1 "$(park 64 1 0 60000)"
expect "and not twice" 0 "$(park 64 1 0 60000)"

# A poke whose transaction is still open.
q -c "BEGIN" -c "UPDATE provisor.wakes SET due_at = LEAST(due_at, clock_timestamp()), kicks = kicks + 1 WHERE id = 80" -c "SELECT pg_sleep(1.5)" -c "COMMIT" >/dev/null &
holder=$!
until [ "$(q -c "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1.5)' AND wait_event = 'PgSleep'")" = 1 ]; do :; done
expect "a group park leaves a locked row out" 0 "$(park 80 1 0 60000)"
expect "the waiting park takes it, and sees the poke that it waited for" "1 due free" \
    "$(run park_one "int8, int8, int4, int2, int8, int4, uuid" "80, 1, 0, 0, 60000, 0, '$me'") $(state 80)"
wait $holder

# A slow transaction commits a wake below what was claimed meanwhile.
q -c "UPDATE provisor.wakes SET due_at = 'infinity', lease_until = '-infinity', owner = NULL"
q -c "BEGIN" -c "INSERT INTO provisor.wakes (id, lane, due_at) VALUES (1600, 0, clock_timestamp())" -c "SELECT pg_sleep(1.2)" -c "COMMIT" >/dev/null &
holder=$!
until [ "$(q -c "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1.2)' AND wait_event = 'PgSleep'")" = 1 ]; do :; done
q -c "INSERT INTO provisor.wakes (id, lane, due_at) VALUES (1616, 0, clock_timestamp())"
expect "a full claim of what came later" 1 "$(claim 1)"
mark=$(q -c "SELECT max(due_at) FROM provisor.wakes WHERE lease_until > now()")
wait $holder
expect "a watermark at the last claimed due time misses the slow one" 0 "$(claim 1 "$mark")"
clamped=$(q -c "SELECT LEAST('$mark'::timestamptz, clock_timestamp() - interval '2 s')")
expect "clamped to now - 2 s it finds it" 1 "$(claim 1 "$clamped")"

# Early release.
q -c "UPDATE provisor.wakes SET due_at = 'infinity', lease_until = '-infinity', owner = NULL"
q -c "UPDATE provisor.wakes SET due_at = now() - interval '1 hour' WHERE id IN (16, 32, 48)"
expect "two wakes of one owner, one of another" "2 1" "$(q -c "UPDATE provisor.wakes SET lease_until = now() + interval '1 hour', owner = '$me' WHERE id IN (16, 32); UPDATE provisor.wakes SET firm = true WHERE id = 32; UPDATE provisor.wakes SET lease_until = now() + interval '1 hour', owner = '$other' WHERE id = 48; SELECT (SELECT count(*) FROM provisor.wakes WHERE owner = '$me') || ' ' || (SELECT count(*) FROM provisor.wakes WHERE owner = '$other')")"
mark=$(q -c "SELECT clock_timestamp()")
expect "the dead owner's wakes are released, but not the firm one" 1 "$(run release uuid "'$me'")"
expect "its neighbour's and the firm one stay" "due leased, due leased" "$(state 32), $(state 48)"
expect "the released one lies above a watermark of before" 1 "$(claim 100 "$mark" $other)"
expect "the late park of the dead owner touches nothing" 0 \
    "$(q -c "PREPARE s (int8[], int8[], int4[], int2[], int8[], int4[], uuid) AS WITH r AS ($(firm park)) SELECT count(*) FROM r" -c "EXECUTE s (ARRAY[16], ARRAY[1], '{0}', '{0}', '{0}', '{0}', '$me')")"

# An expired lease.
q -c "UPDATE provisor.wakes SET lease_until = now() - interval '1 ms' WHERE id = 32"
expect "an expired lease, firm too, is claimed from the head" 1 "$(claim 100 -infinity $other)"
expect "and is firm no longer" f "$(q -c "SELECT firm FROM provisor.wakes WHERE id = 32")"
exit $broken
