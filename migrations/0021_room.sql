-- Room on each page for a second version of all its wakes. What came together is claimed together; at 50 every eighth found
-- its page full, since a claim adds the owner, and took an entry of each index on another page.
SET LOCAL lock_timeout = '5s';

ALTER TABLE provisor.wakes SET (fillfactor = 40);
