#!/usr/bin/env python3
"""Hands orders over to Provisor, and shows how they go on.

    shop.py submit FILE            submits an order document
    shop.py watch REFERENCE        shows its status until it has ended, or waits for a person
    shop.py lines REFERENCE        shows its lines
    shop.py cancel REFERENCE       withdraws it, if nothing has been sent yet
    shop.py auto-renew DOMAIN on|off

The database is that of DATABASE_URL, or else of libpq's variables (PGHOST, PGUSER, PGDATABASE and so on).
Exit status: 0 done, 1 refused or not in time, 2 wrong usage.
"""

import json
import os
import sys
import time

import psycopg
from psycopg import errors
from psycopg.types.json import Jsonb

# How often something is tried that may go well the next time, and the pause before each further try.
TRIES = 5
PAUSE_SECONDS = 1.0

# How long an order is watched, and how often it is looked at even if no notification comes.
WATCH_SECONDS = 120.0
LOOK_SECONDS = 5.0

SETTLED = ("completed", "partial", "failed", "cancelled", "attention")


class Refused(Exception):
    """It makes no sense to try again: the order, or the program, must be corrected."""


def connect():
    return psycopg.connect(os.environ.get("DATABASE_URL", ""), autocommit=True)


def repeatedly(work):
    """Runs `work` with a connection. Repeats it, whole and with a new connection, where that may help.

    Repeating is safe even if the answer to the COMMIT was lost: the same order under the same reference is one order.
    """
    for attempt in range(1, TRIES + 1):
        try:
            with connect() as db:
                return work(db)
        except errors.InvalidParameterValue as error:  # 22023: the document is malformed
            raise Refused(error.diag.message_primary) from error
        except errors.UniqueViolation as error:  # 23505: other content under a reference that is in use
            raise Refused(error.diag.message_primary) from error
        except errors.NoDataFound as error:  # P0002: no such order, domain or customer
            raise Refused(error.diag.message_primary) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            # The connection (08…, 57P01, 53300), a deadlock (40P01), a serialisation failure (40001), a lock (55P03).
            if attempt == TRIES:
                raise
            print(f"trying again: {error}", file=sys.stderr)
            time.sleep(PAUSE_SECONDS)


def submit(path):
    with open(path, encoding="utf-8") as file:
        document = json.load(file)

    def work(db):
        with db.transaction():
            # The shop's own work and the order: both are there, or neither is.
            order_id = db.execute("SELECT provisor.submit_order(%s)", [Jsonb(document)]).fetchone()[0]
            db.execute(
                "INSERT INTO shop.orders (reference, provisor_id) VALUES (%s, %s) ON CONFLICT (reference) DO NOTHING",
                [document["reference"], order_id],
            )
        return order_id

    order_id = repeatedly(work)
    print(f"{document['reference']} is order {order_id}")


def watch(reference):
    def work(db):
        db.execute("LISTEN provisor_order_status")  # before the first look, so that nothing falls between
        until = time.monotonic() + WATCH_SECONDS
        shown = None
        while time.monotonic() < until:
            # The view is what counts. A notification only wakes: it may be lost with a connection, or come twice.
            row = db.execute(
                "SELECT status, reason FROM provisor.order_status WHERE reference = %s", [reference]
            ).fetchone()
            if row is None:
                raise Refused(f"order {reference} is unknown")
            if row != shown:
                print(reference, row[0], row[1] or "", flush=True)
                shown = row
            if row[0] in SETTLED:
                return
            for _ in db.notifies(timeout=LOOK_SECONDS, stop_after=1):
                pass
        raise Refused(f"{reference} goes on, but this program does not wait longer than {WATCH_SECONDS:.0f} s")

    repeatedly(work)


def lines(reference):
    rows = repeatedly(
        lambda db: db.execute(
            "SELECT line, kind, domain, status, reason FROM provisor.line_status WHERE reference = %s ORDER BY line",
            [reference],
        ).fetchall()
    )
    for line, kind, domain, status, reason in rows:
        print(line, kind, domain, status, reason or "")


def cancel(reference):
    print(repeatedly(lambda db: db.execute("SELECT provisor.cancel_order(%s)", [reference]).fetchone()[0]))


def auto_renew(domain, wish):
    if wish not in ("on", "off"):
        raise ValueError(wish)
    repeatedly(lambda db: db.execute("SELECT provisor.set_auto_renew(%s, %s)", [domain, wish == "on"]))
    print(f"{domain}: auto-renewal {wish}")


def main():
    commands = {"submit": submit, "watch": watch, "lines": lines, "cancel": cancel, "auto-renew": auto_renew}
    try:
        name, *arguments = sys.argv[1:]
        command = commands[name]
        if len(arguments) != (2 if command is auto_renew else 1):
            raise ValueError(name)
        command(*arguments)
    except (KeyError, ValueError) as error:
        print(f"{error}\n{__doc__}", file=sys.stderr)
        return 2
    except Refused as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
