-- SMS from phones, whole.
CREATE TABLE inbound (
  id            INTEGER PRIMARY KEY,     -- in the order in which they became whole
  public_id     TEXT NOT NULL,
  account       INTEGER NOT NULL,        -- 0: nobody's
  src           TEXT NOT NULL,
  dst           TEXT NOT NULL,
  text          TEXT NOT NULL,
  received      INTEGER NOT NULL
);
CREATE INDEX inbound_by_account ON inbound (account, received, id);

-- Their parts: those that wait for others, and for some minutes those that don't, to know them if they come again.
CREATE TABLE inbound_part (
  id            INTEGER PRIMARY KEY,     -- in order of arrival
  carrier       TEXT NOT NULL,
  src           TEXT NOT NULL,
  dst           TEXT NOT NULL,
  reference     INTEGER NOT NULL,
  parts         INTEGER NOT NULL,
  received      INTEGER NOT NULL,
  sms           INTEGER NOT NULL,        -- the id of the SMS's first part to come
  done          INTEGER NOT NULL,        -- 1: the SMS has been passed on
  content       BLOB NOT NULL            -- JSON of store.interface.Arrival
);
CREATE INDEX inbound_part_thread ON inbound_part (src, dst, reference, parts, carrier, id);
CREATE INDEX inbound_part_sms ON inbound_part (sms);
CREATE INDEX inbound_part_waiting ON inbound_part (received) WHERE NOT done;
CREATE INDEX inbound_part_done ON inbound_part (received) WHERE done;

-- Which account last wrote to a phone: one small row a phone, gathered from `sms` when an SMS from a phone comes.
CREATE TABLE last_writer (
  phone         INTEGER PRIMARY KEY,     -- E.164 without its +
  account       INTEGER NOT NULL,
  day           INTEGER NOT NULL         -- days since 1970
);

-- Up to which SMS that is gathered.
CREATE TABLE gathered (last_sms INTEGER NOT NULL);
INSERT INTO gathered VALUES (0);

-- Numbers that get nothing from an account.
CREATE TABLE blocked (
  account       INTEGER NOT NULL,
  dst           TEXT NOT NULL,
  created       INTEGER NOT NULL,
  PRIMARY KEY (account, dst)
) WITHOUT ROWID;
