-- Proposed: set by the transaction that commits an intent, cleared by claim and park. A firm wake is not released early.
ALTER TABLE provisor.wakes ADD COLUMN IF NOT EXISTS firm boolean NOT NULL DEFAULT false;
