#!/usr/bin/env php
<?php

declare(strict_types=1);

const USAGE = <<<'TEXT'
    Hands orders over to Provisor, and shows how they go on.

        shop.php submit FILE            submits an order document
        shop.php watch REFERENCE        shows its status until it has ended, or waits for a person
        shop.php lines REFERENCE        shows its lines
        shop.php cancel REFERENCE       withdraws it, if nothing has been sent yet
        shop.php auto-renew DOMAIN on|off

    The database is that of DATABASE_URL, or else of libpq's variables (PGHOST, PGUSER, PGDATABASE and so on).
    Exit status: 0 done, 1 refused or not in time, 2 wrong usage.

    TEXT;

// How often something is tried that may go well the next time, and the pause before each further try.
const TRIES = 5;
const PAUSE_SECONDS = 1;

// How long an order is watched, and how often it is looked at even if no notification comes.
const WATCH_SECONDS = 120;
const LOOK_MS = 5_000;

const SETTLED = ['completed', 'partial', 'failed', 'cancelled', 'attention'];

/** What a shop is told for good: malformed (22023), other content under a reference in use (23505), unknown (P0002). */
const REFUSED_FOR_GOOD = ['22023', '23505', 'P0002'];

/** It makes no sense to try again: the order, or the program, must be corrected. */
final class Refused extends RuntimeException
{
}

/** Wrong arguments. */
final class Usage extends RuntimeException
{
}

/** What PDO takes for a URL such as postgres://shop@db.example.com/provisor?sslmode=verify-full: source, user, password. */
function data_source(string $url): array
{
    $shape = '~^postgres(?:ql)?://(?:([^:@/]*)(?::([^@/]*))?@)?(\[[^]]*]|[^:/?]*)(?::(\d+))?(?:/([^?]*))?(?:\?(.*))?$~';
    if (preg_match($shape, $url, $part, PREG_UNMATCHED_AS_NULL) !== 1) {
        throw new Usage('DATABASE_URL is not a URL of PostgreSQL');
    }
    $given = [
        'user' => $part[1],
        'password' => $part[2],
        'host' => trim($part[3] ?? '', '[]'),
        'port' => $part[4],
        'dbname' => $part[5],
    ];
    $settings = array_map(fn (?string $text): string => rawurldecode($text ?? ''), $given);
    parse_str($part[6] ?? '', $further);
    $settings = array_filter([...$settings, ...$further], fn (string $text): bool => $text !== '');
    $user = $settings['user'] ?? null;
    $password = $settings['password'] ?? null;
    unset($settings['user'], $settings['password']); // apart, as PDO makes a space of a semicolon in the source
    $source = 'pgsql:';
    foreach ($settings as $key => $text) {
        $source .= " $key='" . addcslashes($text, "'\\") . "'";
    }
    return [$source, $user, $password];
}

function connect(): PDO
{
    $url = getenv('DATABASE_URL');
    return $url === false || $url === '' ? new PDO('pgsql:') : new PDO(...data_source($url));
}

/** The SQLSTATE of an error; one of a connection may have none of its own. */
function state_of(PDOException $error): string
{
    return $error->errorInfo[0] ?? (string) $error->getCode();
}

/** The connection (08…, 57P0…, 53300, HY000, 7), a serialisation failure, a deadlock, a lock. */
function may_go_well_next_time(string $state): bool
{
    return preg_match('/^(08...|57P0.|53300|40001|40P01|55P03|HY000|7)$/', $state) === 1;
}

/** What the database says, without the lines of context that the driver adds. */
function message_of(PDOException $error): string
{
    $first = strtok($error->errorInfo[2] ?? $error->getMessage(), "\n");
    return preg_replace('/^ERROR:\s+/', '', (string) $first);
}

/**
 * Runs $work with a connection. Repeats it, whole and with a new connection, where that may help. Repeating is safe even
 * if the answer to the COMMIT was lost: the same order under the same reference is one order.
 */
function repeatedly(callable $work): mixed
{
    for ($attempt = 1; ; ++$attempt) {
        try {
            return $work(connect());
        } catch (PDOException $error) {
            $state = state_of($error);
            if (in_array($state, REFUSED_FOR_GOOD, true)) {
                throw new Refused(message_of($error), previous: $error);
            }
            if ($attempt === TRIES || !may_go_well_next_time($state)) {
                throw $error;
            }
            fwrite(STDERR, 'trying again: ' . message_of($error) . "\n");
            sleep(PAUSE_SECONDS);
        }
    }
}

function query(PDO $db, string $sql, array $values): PDOStatement
{
    $statement = $db->prepare($sql);
    foreach ($values as $n => $value) {
        // Without its type, false would be sent as an empty text.
        $statement->bindValue($n + 1, $value, is_bool($value) ? PDO::PARAM_BOOL : PDO::PARAM_STR);
    }
    $statement->execute();
    return $statement;
}

function submit(string $path): void
{
    $text = file_get_contents($path);
    if ($text === false) {
        throw new Usage("$path can't be read");
    }
    $order = json_decode($text, flags: JSON_THROW_ON_ERROR); // to objects: as arrays, {} would come back as []
    $document = json_encode($order, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
    $id = repeatedly(function (PDO $db) use ($order, $document): int {
        $db->beginTransaction();
        try {
            // The shop's own work and the order: both are there, or neither is.
            $id = query($db, 'SELECT provisor.submit_order(?::jsonb)', [$document])->fetchColumn();
            query(
                $db,
                'INSERT INTO shop.orders (reference, provisor_id) VALUES (?, ?) ON CONFLICT (reference) DO NOTHING',
                [$order->reference, (string) $id],
            );
            $db->commit();
            return (int) $id;
        } catch (PDOException $error) {
            // On a lost connection there is nothing left to roll back.
            try {
                $db->rollBack();
            } catch (PDOException) {
            }
            throw $error;
        }
    });
    echo "$order->reference is order $id\n";
}

function watch(string $reference): void
{
    repeatedly(function (PDO $db) use ($reference): void {
        $db->exec('LISTEN provisor_order_status'); // before the first look, so that nothing falls between
        $until = microtime(true) + WATCH_SECONDS;
        $shown = '';
        while (microtime(true) < $until) {
            // The view is what counts. A notification only wakes: it may be lost with a connection, or come twice.
            $sql = 'SELECT status, reason FROM provisor.order_status WHERE reference = ?';
            $row = query($db, $sql, [$reference])->fetch(PDO::FETCH_ASSOC);
            if ($row === false) {
                throw new Refused("order $reference is unknown");
            }
            $line = "$reference {$row['status']} {$row['reason']}\n";
            if ($line !== $shown) {
                echo $line;
            }
            $shown = $line;
            if (in_array($row['status'], SETTLED, true)) {
                return;
            }
            $db->pgsqlGetNotify(PDO::FETCH_ASSOC, LOOK_MS);
        }
        throw new Refused("$reference goes on, but this program does not wait longer than " . WATCH_SECONDS . ' s');
    });
}

function lines(string $reference): void
{
    $sql = 'SELECT line, kind, domain, status, reason FROM provisor.line_status WHERE reference = ? ORDER BY line';
    $rows = repeatedly(fn (PDO $db): array => query($db, $sql, [$reference])->fetchAll(PDO::FETCH_NUM));
    foreach ($rows as $row) {
        echo implode(' ', $row), "\n";
    }
}

function cancel(string $reference): void
{
    $answer = fn (PDO $db): string => query($db, 'SELECT provisor.cancel_order(?)', [$reference])->fetchColumn();
    echo repeatedly($answer), "\n";
}

function auto_renew(string $domain, string $wish): void
{
    if (!in_array($wish, ['on', 'off'], true)) {
        throw new Usage("$wish is neither on nor off");
    }
    repeatedly(fn (PDO $db) => query($db, 'SELECT provisor.set_auto_renew(?, ?)', [$domain, $wish === 'on']));
    echo "$domain: auto-renewal $wish\n";
}

function main(array $arguments): int
{
    $commands = [
        'submit' => submit(...),
        'watch' => watch(...),
        'lines' => lines(...),
        'cancel' => cancel(...),
        'auto-renew' => auto_renew(...),
    ];
    try {
        $command = $commands[array_shift($arguments)] ?? throw new Usage('wrong arguments');
        if (count($arguments) !== (new ReflectionFunction($command))->getNumberOfParameters()) {
            throw new Usage('wrong arguments');
        }
        $command(...$arguments);
        return 0;
    } catch (Usage $error) {
        fwrite(STDERR, $error->getMessage() . "\n" . USAGE);
        return 2;
    } catch (Refused $error) {
        fwrite(STDERR, 'refused: ' . $error->getMessage() . "\n");
        return 1;
    }
}

exit(main(array_slice($argv, 1)));
