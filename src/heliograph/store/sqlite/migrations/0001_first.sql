-- Times are milliseconds since 1970, UTC. Numbers and ids grow with time, so that new rows go to the end of every tree.

CREATE TABLE account (
  id            INTEGER PRIMARY KEY,
  name          TEXT NOT NULL UNIQUE,
  content       BLOB NOT NULL            -- JSON of jobs.accounts.Account
);

CREATE TABLE job (
  id            INTEGER PRIMARY KEY,     -- the instant in milliseconds, 20 bits shifted, plus first_sms's last 20 bits
  public_id     TEXT NOT NULL,
  account       INTEGER NOT NULL,
  first_sms     INTEGER NOT NULL,        -- its SMS have the numbers from first_sms on, in the order of the request
  sms_count     INTEGER NOT NULL,
  give_up       INTEGER NOT NULL,        -- 1: an SMS whose fate is unknown is not sent again
  options       BLOB NOT NULL,           -- JSON of jobs.options.JobOptions
  blank         INTEGER NOT NULL,        -- 1: the texts have been deleted
  finished      INTEGER
);
CREATE INDEX job_by_account ON job (account, id);
CREATE INDEX job_open ON job (account, id) WHERE finished IS NULL;
CREATE INDEX job_with_texts ON job (id) WHERE NOT blank;

CREATE TABLE message (
  job           INTEGER NOT NULL,
  place         INTEGER NOT NULL,
  text          TEXT NOT NULL,
  encoding      TEXT NOT NULL,
  parts         TEXT,                    -- JSON array of the parts' texts; NULL where the one part is the text
  PRIMARY KEY (job, place)
) WITHOUT ROWID;

-- Written when a job comes in and once more when the SMS is final.
CREATE TABLE sms (
  id            INTEGER PRIMARY KEY,
  job           INTEGER NOT NULL,
  message       INTEGER NOT NULL,
  dst           TEXT NOT NULL,
  customer_ref  TEXT NOT NULL,
  parts         INTEGER NOT NULL,
  process_status TEXT,                   -- NULL until it is final
  status        TEXT,
  reason        TEXT,
  sent          INTEGER,
  finished      INTEGER
);

-- One row a part of an SMS that is not final: small whatever the history.
CREATE TABLE live (
  id            INTEGER PRIMARY KEY,     -- the SMS's number, 5 bits shifted, plus the part from 0
  carrier       TEXT NOT NULL,
  lane          INTEGER NOT NULL,        -- 0 EXPRESS, 1 NORMAL
  account       INTEGER NOT NULL,
  due           INTEGER,                 -- when something must happen: a try, a lease's end, an overdue receipt
  expires       INTEGER NOT NULL,
  blackouts     BLOB,                    -- JSON of its joined blackout periods; NULL for none
  state         INTEGER NOT NULL,        -- jobs.status.PartState
  attempts      INTEGER NOT NULL,
  status        TEXT NOT NULL,
  reason        TEXT NOT NULL,
  message_id    TEXT,
  sent          INTEGER,
  heard         INTEGER NOT NULL
);
CREATE INDEX live_due ON live (carrier, lane, account, due) WHERE due IS NOT NULL;
CREATE INDEX live_message_id ON live (message_id, carrier) WHERE message_id IS NOT NULL;

-- Receipts that came before the answer to their own submission.
CREATE TABLE parked (
  id            INTEGER PRIMARY KEY,     -- in order of time
  carrier       TEXT NOT NULL,
  message_id    TEXT NOT NULL,
  at            INTEGER NOT NULL,
  content       BLOB NOT NULL            -- JSON of store.interface.ReceiptNews
);
CREATE INDEX parked_message_id ON parked (message_id, carrier);

-- Requests of the last minutes whose equals are refused.
CREATE TABLE fingerprint (
  id            INTEGER PRIMARY KEY,     -- in order of time
  account       INTEGER NOT NULL,
  digest        BLOB NOT NULL,
  job           TEXT NOT NULL,
  accepted      INTEGER NOT NULL,
  UNIQUE (account, digest)
);

-- The last SMS number ever given, as of when SMS were last deleted: numbers are not given twice.
CREATE TABLE given (last_sms INTEGER NOT NULL);
INSERT INTO given VALUES (0);
