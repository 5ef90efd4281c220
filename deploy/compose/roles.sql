-- Run once by the postgres image, when the database is made: the daemon's user, who is not the owner. The migration finds
-- the role provisor_worker, and grants it what the daemon needs.
\set password `cat /run/secrets/worker-password`
CREATE ROLE provisor_worker NOLOGIN;
CREATE ROLE provisor LOGIN PASSWORD :'password' IN ROLE provisor_worker;
