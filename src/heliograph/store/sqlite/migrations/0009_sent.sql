-- SMS that a carrier has got, or may have, in the order in which they were sent, from which it is still to be gathered who
-- wrote to which phones. Whoever writes to a phone only later, or never, hasn't written to it.
CREATE TABLE ungathered (
  id            INTEGER PRIMARY KEY,     -- in order of time
  first_sms     INTEGER NOT NULL,
  sms_count     INTEGER NOT NULL,        -- with consecutive numbers
  sent          INTEGER NOT NULL         -- the last one of them
);
INSERT INTO ungathered (first_sms, sms_count, sent)
SELECT id, 1, sent FROM (
  SELECT id, sent FROM sms WHERE id > (SELECT last_sms FROM gathered) AND sent IS NOT NULL
  UNION ALL
  SELECT id >> 5, max(sent) FROM live WHERE id >> 5 > (SELECT last_sms FROM gathered) AND sent IS NOT NULL GROUP BY id >> 5)
ORDER BY sent, id;
DROP TABLE gathered;
