-- 1: the carrier may have got it without our knowing.
ALTER TABLE live ADD COLUMN doubtful INTEGER NOT NULL DEFAULT 0;

-- Parts of SMS that were cancelled after the carrier took them: their receipts are told until they are due.
CREATE TABLE late (
  id            INTEGER PRIMARY KEY,     -- as in live
  carrier       TEXT NOT NULL,
  message_id    TEXT NOT NULL,
  until         INTEGER NOT NULL,
  word          TEXT NOT NULL            -- the status that its first final receipt said; empty before
);
CREATE INDEX late_message_id ON late (message_id, carrier);
CREATE INDEX late_until ON late (until);

-- Idempotency keys of the last 24 hours.
CREATE TABLE idempotency (
  id            INTEGER PRIMARY KEY,     -- in order of time
  account       INTEGER NOT NULL,
  key           TEXT NOT NULL,
  digest        BLOB NOT NULL,           -- of the request
  job           TEXT NOT NULL,
  accepted      INTEGER NOT NULL,
  UNIQUE (account, key)
);
