-- compatible from: 1
-- History is partitioned by time, so that what is old goes at once. A partition is a table of each: job_N, message_N and
-- sms_N, of the same span of time. `partitions.py` makes them, ahead of time, and drops them.
-- From the end of the first partition on, SMS numbers begin with the second in which their block was taken (26 bits
-- shifted): see the query next_sms_block. Until then, and from nodes of the version before, they are the sequence's own.

LOCK TABLE job, message, sms IN ACCESS EXCLUSIVE MODE;

-- What there is becomes the first partition.
ALTER TABLE job RENAME TO job_0;
ALTER INDEX job_pkey RENAME TO job_0_pkey;
ALTER INDEX job_by_account RENAME TO job_0_by_account;
ALTER INDEX job_open RENAME TO job_0_open;
ALTER INDEX job_with_texts RENAME TO job_0_with_texts;
ALTER TABLE message RENAME TO message_0;
ALTER INDEX message_pkey RENAME TO message_0_pkey;
ALTER TABLE sms RENAME TO sms_0;
ALTER INDEX sms_pkey RENAME TO sms_0_pkey;

CREATE TABLE job (LIKE job_0) PARTITION BY RANGE (id);
ALTER TABLE job ADD PRIMARY KEY (id);
CREATE INDEX job_by_account ON job (account, id);
CREATE INDEX job_open ON job (account, id) WHERE finished IS NULL;
CREATE INDEX job_with_texts ON job (id) WHERE NOT blank;
CREATE TABLE message (LIKE message_0) PARTITION BY RANGE (job);
ALTER TABLE message ADD PRIMARY KEY (job, place);
CREATE TABLE sms (LIKE sms_0) PARTITION BY RANGE (id);
ALTER TABLE sms ADD PRIMARY KEY (id);

CREATE TABLE partition (
  number        int PRIMARY KEY,
  since         bigint NOT NULL,         -- whole seconds both: the jobs received from then, and SMS numbers given from then
  until         bigint NOT NULL,         -- to before then
  row_by_row    boolean NOT NULL,        -- its jobs are deleted one by one, as they always were
  last_job      bigint                   -- to be dropped once this job is forgotten too, for there are SMS of it
);

-- It ends at the midnight after the next: by then nodes of this version have taken over, which make others.
DO $$
DECLARE
  until bigint := (floor(extract(epoch FROM clock_timestamp()) / 86400)::bigint + 2) * 86400;
BEGIN
  EXECUTE format('ALTER TABLE job ATTACH PARTITION job_0 FOR VALUES FROM (MINVALUE) TO (%s)', until * 1000 << 20);
  EXECUTE format('ALTER TABLE message ATTACH PARTITION message_0 FOR VALUES FROM (MINVALUE) TO (%s)',
    until * 1000 << 20);
  EXECUTE format('ALTER TABLE sms ATTACH PARTITION sms_0 FOR VALUES FROM (MINVALUE) TO (%s)', until << 26);
  INSERT INTO partition (number, since, until, row_by_row) VALUES (0, 0, until * 1000, true);
END $$;

-- For what no partition is there: jobs that outlive theirs, and what comes when nobody has made one in time.
CREATE TABLE job_rest PARTITION OF job DEFAULT WITH (fillfactor = 90);
CREATE TABLE message_rest PARTITION OF message DEFAULT;
CREATE TABLE sms_rest PARTITION OF sms DEFAULT WITH (fillfactor = 90);

-- Jobs with lower numbers have been forgotten, whether they are there or not, but those that aren't finished and those
-- that linger. One row, or none.
CREATE TABLE forgotten (
  one           boolean PRIMARY KEY CHECK (one),
  below         bigint NOT NULL
);

-- Jobs that were not finished when their time was over. They are forgotten one by one.
CREATE TABLE lingering (
  job           bigint PRIMARY KEY
);

CREATE VIEW known_job AS
SELECT id, public_id, account, first_sms, sms_count, give_up, options, blank, finished FROM job
WHERE id >= coalesce((SELECT below FROM forgotten WHERE one), 0) OR finished IS NULL
  OR EXISTS (SELECT FROM lingering WHERE lingering.job = job.id);
