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
  doubtful      boolean NOT NULL,        -- the carrier may have got it without our knowing
  node          int                      -- who leased it last
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX live_due ON live (carrier, lane, account, due, id) WHERE due IS NOT NULL;
CREATE INDEX live_message_id ON live (message_id, carrier) WHERE message_id IS NOT NULL;

-- Parts of SMS that were cancelled after the carrier took them: their receipts are told until they are due.
CREATE TABLE late (
  id            bigint PRIMARY KEY,      -- as in live
  carrier       text COLLATE "C" NOT NULL,
  message_id    text COLLATE "C" NOT NULL,
  until         bigint NOT NULL,
  word          text NOT NULL            -- the status that its first final receipt said; empty before
);
CREATE INDEX late_message_id ON late (message_id, carrier);
CREATE INDEX late_until ON late (until);

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

-- Idempotency keys of the last 24 hours.
CREATE TABLE idempotency (
  account       int NOT NULL,
  key           text COLLATE "C" NOT NULL,
  digest        bytea NOT NULL,          -- of the request
  job           text NOT NULL,
  accepted      bigint NOT NULL,
  PRIMARY KEY (account, key)
);
CREATE INDEX idempotency_accepted ON idempotency (accepted);

-- What agents sent for an account, second by second, of the last hour; seconds since 1970, rounded up.
CREATE TABLE spent (
  account       int NOT NULL,
  second        bigint NOT NULL,
  parts         int NOT NULL,
  PRIMARY KEY (account, second)
);

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

-- Who is called when something has happened.
CREATE TABLE webhook (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  public_id     text COLLATE "C" NOT NULL UNIQUE,
  account       int NOT NULL,
  types         int NOT NULL,            -- of the events that it asks for, a bit each, and none while it is disabled
  token         text COLLATE "C" UNIQUE,
  content       bytea NOT NULL           -- JSON of jobs.webhooks.Webhook
);
CREATE INDEX webhook_by_account ON webhook (account, id);

-- What webhooks are to be told, until they have been. What there is to tell stands in `sms`, `job` and `inbound`.
CREATE TABLE event (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  webhook       bigint NOT NULL,
  type          smallint NOT NULL,       -- 0 an SMS is final, 1 a job is finished, 2 an SMS from a phone is whole
  ref           bigint NOT NULL,         -- its id in `sms`, `job` or `inbound`
  at            bigint NOT NULL,         -- when it happened
  state         smallint NOT NULL,       -- 0 waits, leased ones too; 1 a job's that waits for those of its SMS; 2 given up
  due           bigint NOT NULL,         -- when it is to be told, its lease ends, or it was given up
  attempts      int NOT NULL,
  reason        text NOT NULL,
  node          int                      -- which has it leased
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);
CREATE UNIQUE INDEX event_subject ON event (webhook, type, ref);
CREATE INDEX event_due ON event (webhook, due, id) WHERE state = 0;
CREATE INDEX event_given_up ON event (webhook, id) WHERE state = 2;

-- Nodes that dispatch, by the names that they give themselves, and what only one of them at a time can have.
CREATE TABLE dispatching (
  node          text COLLATE "C" PRIMARY KEY,
  until         bigint NOT NULL
);
CREATE TABLE claim (
  role          text COLLATE "C" PRIMARY KEY,
  node          text COLLATE "C" NOT NULL,
  until         bigint NOT NULL
);

-- Processes that serve this database. Each holds an advisory lock while it lives.
CREATE TABLE node (
  id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ready         bigint NOT NULL          -- when it last asked whether it could write
);
