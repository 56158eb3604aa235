-- compatible from: 1
-- Times are milliseconds since 1970, UTC. Numbers and ids grow with time, so that new rows go to the end of every tree.
-- Texts hold U+0000, which PostgreSQL can't keep, as `store.postgresql.texts` writes it.

CREATE TABLE account (
  id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name          text COLLATE "C" NOT NULL UNIQUE,
  content       bytea NOT NULL           -- JSON of jobs.accounts.Account
);

CREATE TABLE job (
  id            bigint PRIMARY KEY,      -- the instant in milliseconds, 20 bits shifted, plus first_sms's last 20 bits
  public_id     text COLLATE "C" NOT NULL,
  account       int NOT NULL,
  first_sms     bigint NOT NULL,         -- its SMS have the numbers from first_sms on, in the order of the request
  sms_count     int NOT NULL,
  give_up       boolean NOT NULL,        -- an SMS whose fate is unknown is not sent again
  options       bytea NOT NULL,          -- JSON of jobs.options.JobOptions
  blank         boolean NOT NULL,        -- the texts have been deleted
  finished      bigint
) WITH (fillfactor = 90);
CREATE INDEX job_by_account ON job (account, id);
CREATE INDEX job_open ON job (account, id) WHERE finished IS NULL;
CREATE INDEX job_with_texts ON job (id) WHERE NOT blank;

CREATE TABLE message (
  job           bigint NOT NULL,
  place         int NOT NULL,
  text          text NOT NULL,
  encoding      text NOT NULL,
  parts         text,                    -- JSON array of the parts' texts; NULL where the one part is the text
  PRIMARY KEY (job, place)
);

-- Written when a job comes in and once more when the SMS is final. No index covers what that changes.
CREATE TABLE sms (
  id            bigint PRIMARY KEY,
  job           bigint NOT NULL,
  message       int NOT NULL,
  dst           text COLLATE "C" NOT NULL,
  customer_ref  text NOT NULL,
  parts         smallint NOT NULL,
  process_status text,                   -- NULL until it is final
  status        text,
  reason        text,
  sent          bigint,
  finished      bigint
) WITH (fillfactor = 90);

-- SMS numbers are given to nodes in blocks: a job takes as many as it has SMS, one after the other.
CREATE SEQUENCE sms_block INCREMENT BY 16384;

-- One row a part of an SMS that is not final: small whatever the history, and vacuumed often.
CREATE TABLE live (
  id            bigint PRIMARY KEY,      -- the SMS's number, 5 bits shifted, plus the part from 0
  carrier       text COLLATE "C" NOT NULL,
  lane          smallint NOT NULL,       -- 0 EXPRESS, 1 NORMAL
  account       int NOT NULL,
  due           bigint,                  -- when something must happen: a try, a lease's end, an overdue receipt
  expires       bigint NOT NULL,
  blackouts     bytea,                   -- JSON of its joined blackout periods; NULL for none
  state         smallint NOT NULL,       -- jobs.status.PartState
  attempts      int NOT NULL,
  status        text NOT NULL,
  reason        text NOT NULL,
  message_id    text COLLATE "C",
  sent          bigint,
  heard         boolean NOT NULL,
  others        bytea,                   -- JSON array of the carriers to which the SMS may move; NULL for none
  node          int                      -- who leased it last
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX live_due ON live (carrier, lane, account, due, id) WHERE due IS NOT NULL;
CREATE INDEX live_message_id ON live (message_id, carrier) WHERE message_id IS NOT NULL;

-- Receipts that came before the answer to their own submission.
CREATE TABLE parked (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  carrier       text COLLATE "C" NOT NULL,
  message_id    text COLLATE "C" NOT NULL,
  at            bigint NOT NULL,
  content       bytea NOT NULL           -- JSON of store.interface.ReceiptNews
);
CREATE INDEX parked_message_id ON parked (message_id, carrier);

-- Requests of the last minutes whose equals are refused.
CREATE TABLE fingerprint (
  account       int NOT NULL,
  digest        bytea NOT NULL,
  job           text NOT NULL,
  accepted      bigint NOT NULL,
  PRIMARY KEY (account, digest)
);
CREATE INDEX fingerprint_accepted ON fingerprint (accepted);

-- Calls that still count against an account's rate limit, numbered; who counts one holds the account's row of `caller`.
CREATE TABLE caller (
  account       int PRIMARY KEY,
  last_call     bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE call (
  account       int NOT NULL,
  number        bigint NOT NULL,
  at            double precision NOT NULL,  -- seconds since 1970
  PRIMARY KEY (account, number)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- SMS from phones, whole.
CREATE TABLE inbound (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id     text COLLATE "C" NOT NULL,
  account       int NOT NULL,            -- 0: nobody's
  src           text NOT NULL,
  dst           text NOT NULL,
  text          text NOT NULL,
  received      bigint NOT NULL
);
CREATE INDEX inbound_by_account ON inbound (account, received, id);

-- Their parts: those that wait for others, and for some minutes those that don't, to know them if they come again.
CREATE TABLE inbound_part (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  carrier       text COLLATE "C" NOT NULL,
  src           text COLLATE "C" NOT NULL,
  dst           text COLLATE "C" NOT NULL,
  reference     int NOT NULL,
  parts         int NOT NULL,
  received      bigint NOT NULL,
  sms           bigint NOT NULL,         -- the id of the SMS's first part to come
  done          boolean NOT NULL,        -- the SMS has been passed on
  content       bytea NOT NULL           -- JSON of store.interface.Arrival
);
CREATE INDEX inbound_part_thread ON inbound_part (src, dst, reference, parts, carrier, id);
CREATE INDEX inbound_part_sms ON inbound_part (sms);
CREATE INDEX inbound_part_waiting ON inbound_part (received) WHERE NOT done;
CREATE INDEX inbound_part_done ON inbound_part (received) WHERE done;

-- Which account last wrote to a phone: one small row a phone, gathered when an SMS from a phone comes.
CREATE TABLE last_writer (
  phone         bigint PRIMARY KEY,      -- E.164 without its +
  account       int NOT NULL,
  job           bigint NOT NULL          -- the job that did
) WITH (fillfactor = 80);

-- Jobs from which that is still to be gathered. It is read from end to end, and emptied so.
CREATE TABLE ungathered (
  job           bigint NOT NULL,
  account       int NOT NULL,
  first_sms     bigint NOT NULL,
  sms_count     int NOT NULL
);

-- Numbers that get nothing from an account.
CREATE TABLE blocked (
  account       int NOT NULL,
  dst           text COLLATE "C" NOT NULL,
  created       bigint NOT NULL,
  PRIMARY KEY (account, dst)
);

-- Processes that serve this database. Each holds an advisory lock while it lives.
CREATE TABLE node (
  id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ready         bigint NOT NULL          -- when it last asked whether it could write
);
