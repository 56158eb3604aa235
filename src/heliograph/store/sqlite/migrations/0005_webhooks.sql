-- Who is called when something has happened. AUTOINCREMENT: a number is never given twice, so that what was kept for a
-- webhook that is gone can't go to another.
CREATE TABLE webhook (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  public_id     TEXT NOT NULL UNIQUE,
  account       INTEGER NOT NULL,
  types         INTEGER NOT NULL,        -- of the events that it asks for, a bit each, and none while it is disabled
  token         TEXT UNIQUE,
  content       BLOB NOT NULL            -- JSON of jobs.webhooks.Webhook
);
CREATE INDEX webhook_by_account ON webhook (account, id);

-- What webhooks are to be told, until they have been. What there is to tell stands in `sms`, `job` and `inbound`.
CREATE TABLE event (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,  -- a late word on one that is gone must not be taken for another's
  webhook       INTEGER NOT NULL,
  type          INTEGER NOT NULL,        -- 0 an SMS is final, 1 a job is finished, 2 an SMS from a phone is whole
  ref           INTEGER NOT NULL,        -- its id in `sms`, `job` or `inbound`
  at            INTEGER NOT NULL,        -- when it happened
  state         INTEGER NOT NULL,        -- 0 waits, leased ones too; 1 a job's that waits for those of its SMS; 2 given up
  due           INTEGER NOT NULL,        -- when it is to be told, its lease ends, or it was given up
  attempts      INTEGER NOT NULL,
  reason        TEXT NOT NULL,
  leased        INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX event_subject ON event (webhook, type, ref);
CREATE INDEX event_due ON event (webhook, due) WHERE state = 0;
CREATE INDEX event_given_up ON event (webhook, id) WHERE state = 2;
