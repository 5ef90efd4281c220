#!/usr/bin/env node
'use strict';

const USAGE = `Hands orders over to Provisor, and shows how they go on.

    shop.js submit FILE            submits an order document
    shop.js watch REFERENCE        shows its status until it has ended, or waits for a person
    shop.js lines REFERENCE        shows its lines
    shop.js cancel REFERENCE       withdraws it, if nothing has been sent yet
    shop.js auto-renew DOMAIN on|off

The database is that of DATABASE_URL, or else of libpq's variables (PGHOST, PGUSER, PGDATABASE and so on).
Exit status: 0 done, 1 refused or not in time, 2 wrong usage.`;

const { readFileSync } = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { Client } = require('pg');

// How often something is tried that may go well the next time, and the pause before each further try.
const TRIES = 5;
const PAUSE_MS = 1000;

// How long an order is watched, and how often it is looked at even if no notification comes.
const WATCH_MS = 120_000;
const LOOK_MS = 5_000;

const SETTLED = ['completed', 'partial', 'failed', 'cancelled', 'attention'];

/** It makes no sense to try again: the order, or the program, must be corrected. */
class Refused extends Error {}

/** Wrong arguments. */
class Usage extends Error {}

/** What a shop is told for good: malformed (22023), other content under a reference in use (23505), unknown (P0002). */
const FINAL = ['22023', '23505', 'P0002'];

/** The connection (08…, 57P0…, 53300, or no SQLSTATE at all), a serialisation failure, a deadlock, a lock. */
function mayGoWellNextTime(error) {
  const state = /^[0-9A-Z]{5}$/.test(error.code ?? '') ? error.code : '08000';
  return state.startsWith('08') || state.startsWith('57P0') || ['53300', '40001', '40P01', '55P03'].includes(state);
}

async function withConnection(work) {
  // Without a connection string the driver reads PGHOST, PGUSER, PGDATABASE and so on.
  const db = new Client(process.env.DATABASE_URL ? { connectionString: process.env.DATABASE_URL } : {});
  db.on('error', () => {}); // a lost connection also fails the query that runs on it, which is where it is handled
  await db.connect();
  try {
    return await work(db);
  } finally {
    await db.end().catch(() => {});
  }
}

/**
 * Runs `work` with a connection. Repeats it, whole and with a new connection, where that may help. Repeating is safe even
 * if the answer to the COMMIT was lost: the same order under the same reference is one order.
 */
async function repeatedly(work) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await withConnection(work);
    } catch (error) {
      if (FINAL.includes(error.code)) throw new Refused(error.message);
      if (error instanceof Refused || attempt === TRIES || !mayGoWellNextTime(error)) throw error;
      console.error(`trying again: ${error.message}`);
      await sleep(PAUSE_MS);
    }
  }
}

async function inTransaction(db, work) {
  await db.query('BEGIN');
  try {
    const result = await work();
    await db.query('COMMIT');
    return result;
  } catch (error) {
    await db.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

async function submit(path) {
  const order = JSON.parse(readFileSync(path, 'utf8'));
  const text = JSON.stringify(order); // the driver would turn a JavaScript array into a PostgreSQL one, so: text
  const id = await repeatedly((db) => inTransaction(db, async () => {
    // The shop's own work and the order: both are there, or neither is.
    const submitted = await db.query('SELECT provisor.submit_order($1::jsonb) AS id', [text]);
    await db.query(
      'INSERT INTO shop.orders (reference, provisor_id) VALUES ($1, $2) ON CONFLICT (reference) DO NOTHING',
      [order.reference, submitted.rows[0].id],
    );
    return submitted.rows[0].id; // a string: a bigint does not fit into a JavaScript number
  }));
  console.log(`${order.reference} is order ${id}`);
}

async function watch(reference) {
  await repeatedly(async (db) => {
    let wake = () => {};
    db.on('notification', () => wake());
    await db.query('LISTEN provisor_order_status'); // before the first look, so that nothing falls between
    const until = Date.now() + WATCH_MS;
    let shown = '';
    while (Date.now() < until) {
      const woken = new Promise((resolve) => { wake = resolve; });
      // The view is what counts. A notification only wakes: it may be lost with a connection, or come twice.
      const { rows: [row] } = await db.query(
        'SELECT status, reason FROM provisor.order_status WHERE reference = $1', [reference],
      );
      if (!row) throw new Refused(`order ${reference} is unknown`);
      const line = `${reference} ${row.status} ${row.reason ?? ''}`;
      if (line !== shown) console.log(line);
      shown = line;
      if (SETTLED.includes(row.status)) return;
      const timer = new AbortController();
      await Promise.race([woken, sleep(LOOK_MS, undefined, { signal: timer.signal }).catch(() => {})]);
      timer.abort();
    }
    throw new Refused(`${reference} goes on, but this program does not wait longer than ${WATCH_MS / 1000} s`);
  });
}

async function lines(reference) {
  const { rows } = await repeatedly((db) => db.query(
    'SELECT line, kind, domain, status, reason FROM provisor.line_status WHERE reference = $1 ORDER BY line',
    [reference],
  ));
  for (const row of rows) console.log(row.line, row.kind, row.domain, row.status, row.reason ?? '');
}

async function cancel(reference) {
  const { rows } = await repeatedly((db) => db.query('SELECT provisor.cancel_order($1) AS answer', [reference]));
  console.log(rows[0].answer);
}

async function autoRenew(domain, wish) {
  if (!['on', 'off'].includes(wish)) throw new Usage(`${wish} is neither on nor off`);
  await repeatedly((db) => db.query('SELECT provisor.set_auto_renew($1, $2)', [domain, wish === 'on']));
  console.log(`${domain}: auto-renewal ${wish}`);
}

async function main([name, ...rest]) {
  const commands = { submit, watch, lines, cancel, 'auto-renew': autoRenew };
  const command = Object.hasOwn(commands, name ?? '') ? commands[name] : undefined;
  if (!command || rest.length !== command.length) throw new Usage('wrong arguments');
  await command(...rest);
}

main(process.argv.slice(2)).catch((error) => {
  if (error instanceof Usage) {
    console.error(`${error.message}\n${USAGE}`);
    process.exitCode = 2;
  } else {
    console.error(error instanceof Refused ? `refused: ${error.message}` : error);
    process.exitCode = 1;
  }
});
