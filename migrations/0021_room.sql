-- Room on each page for a second version of all its wakes, with something to spare. What came together is claimed together;
-- at 50 every eighth found its page full, since a claim adds the owner: it went to another, and took an entry in each index.
SET LOCAL lock_timeout = '5s';

ALTER TABLE provisor.wakes SET (fillfactor = 40);
