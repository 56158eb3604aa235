-- Each query begins with its name. Rows come as columns, one array each. What is partitioned is joined with them: of
-- "id = ANY ($1)" a plan that is kept can't tell which partitions are meant, and looks into all. What is locked is locked
-- in order of its id, and the tables in this order: advisory locks, live, late, event, job, idempotency, fingerprint, the
-- locks of who spends; so nobody waits for who waits for them.

-- name: lock
-- Until the transaction's end, each key in turn, alone or shared. A statement of its own, so that the next one sees what
-- those who had them before have committed.
SELECT CASE WHEN wanted.alone THEN pg_advisory_xact_lock($1, wanted.key)::text
  ELSE pg_advisory_xact_lock_shared($1, wanted.key)::text END
FROM unnest($2::int[], $3::boolean[]) AS wanted (key, alone)

-- Jobs

-- name: next_sms_block
-- The second, so that SMS are partitioned by time as their jobs are; 12 bits of the sequence, so that blocks taken in one
-- second differ; and 14 bits for the numbers of a block. But for as long as the first partition lasts, the number of the
-- sequence: nodes of the version before, which may be running then, can't read SMS with higher numbers than 31 bits.
SELECT CASE
  WHEN EXISTS (SELECT FROM partition WHERE number = 0 AND until / 1000 > extract(epoch FROM clock_timestamp()))
  THEN nextval('sms_block')
  ELSE (floor(extract(epoch FROM clock_timestamp()))::bigint << 12 | nextval('sms_block') / 16384 % 4096) << 14 END

-- name: insert_jobs
-- Jobs, messages, SMS and the parts that are to be sent, in one statement: it costs less than five.
WITH new_job AS (
  INSERT INTO job (id, public_id, account, first_sms, sms_count, give_up, options, finished, blank)
  SELECT *, false FROM unnest($1::bigint[], $2::text[], $3::int[], $4::bigint[], $5::int[], $6::boolean[],
    $7::bytea[], $8::bigint[])
), new_message AS (
  INSERT INTO message (job, place, text, encoding, parts)
  SELECT * FROM unnest($9::bigint[], $10::int[], $11::text[], $12::text[], $13::text[])
), new_sms AS (
  INSERT INTO sms (id, job, message, dst, customer_ref, parts, process_status, status, reason, finished)
  SELECT * FROM unnest($14::bigint[], $15::bigint[], $16::int[], $17::text[], $18::text[], $19::smallint[], $20::text[],
    $21::text[], $22::text[], $23::bigint[])
)
INSERT INTO live (id, carrier, lane, account, due, expires, blackouts, others, state, attempts, status, reason, heard,
  doubtful)
SELECT *, 0, 0, '', '', false, false
FROM unnest($24::bigint[], $25::text[], $26::smallint[], $27::int[], $28::bigint[], $29::bigint[], $30::bytea[],
  $31::bytea[])

-- name: put_missing_jobs
-- Of jobs that may be there, those that aren't; rolled back at once. It waits for transactions that are adding them.
INSERT INTO job (id, public_id, account, first_sms, sms_count, give_up, options, finished, blank)
SELECT wanted.id, '', 0, 0, 0, false, '', 0, true FROM unnest($1::bigint[]) AS wanted (id)
ON CONFLICT DO NOTHING RETURNING id

-- name: hold_fingerprints
-- Puts those there that aren't, and gives back what is there now, for us alone until the end of the transaction. Of two
-- transactions with one, the second waits.
INSERT INTO fingerprint AS kept (account, digest, job, accepted)
SELECT * FROM unnest($1::int[], $2::bytea[], $3::text[], $4::bigint[])
ON CONFLICT (account, digest) DO UPDATE SET job = kept.job
RETURNING account, digest, job, accepted

-- name: write_fingerprints
UPDATE fingerprint SET job = news.job, accepted = news.accepted
FROM unnest($1::int[], $2::bytea[], $3::text[], $4::bigint[]) AS news (account, digest, job, accepted)
WHERE fingerprint.account = news.account AND fingerprint.digest = news.digest

-- name: delete_fingerprints
DELETE FROM fingerprint USING unnest($1::int[], $2::bytea[]) AS gone (account, digest)
WHERE fingerprint.account = gone.account AND fingerprint.digest = gone.digest

-- name: forget_fingerprints
-- Those that have had their time, a few at each call.
DELETE FROM fingerprint WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM fingerprint WHERE accepted <= $2 ORDER BY accepted LIMIT $1 FOR UPDATE SKIP LOCKED))

-- name: hold_keys
-- As hold_fingerprints does.
INSERT INTO idempotency AS kept (account, key, digest, job, accepted)
SELECT * FROM unnest($1::int[], $2::text[], $3::bytea[], $4::text[], $5::bigint[])
ON CONFLICT (account, key) DO UPDATE SET job = kept.job
RETURNING account, key, digest, job, accepted

-- name: write_keys
UPDATE idempotency SET digest = news.digest, job = news.job, accepted = news.accepted
FROM unnest($1::int[], $2::text[], $3::bytea[], $4::text[], $5::bigint[]) AS news (account, key, digest, job, accepted)
WHERE idempotency.account = news.account AND idempotency.key = news.key

-- name: delete_keys
DELETE FROM idempotency USING unnest($1::int[], $2::text[]) AS gone (account, key)
WHERE idempotency.account = gone.account AND idempotency.key = gone.key

-- name: forget_keys
-- Those that have had their time, a few at each call.
DELETE FROM idempotency WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM idempotency WHERE accepted <= $2 ORDER BY accepted LIMIT $1 FOR UPDATE SKIP LOCKED))

-- name: spent
-- What accounts' agents spent after a second each, the oldest first.
SELECT spent.account, spent.second, spent.parts FROM unnest($1::int[], $2::bigint[]) AS wanted (account, since)
JOIN spent ON spent.account = wanted.account AND spent.second > wanted.since ORDER BY spent.account, spent.second

-- name: forget_spent
DELETE FROM spent USING unnest($1::int[], $2::bigint[]) AS old (account, since)
WHERE spent.account = old.account AND spent.second <= old.since

-- name: spend
INSERT INTO spent (account, second, parts) SELECT * FROM unnest($1::int[], $2::bigint[], $3::int[])
ON CONFLICT (account, second) DO UPDATE SET parts = spent.parts + excluded.parts

-- name: job
SELECT id, public_id, first_sms, sms_count, options, finished FROM known_job
WHERE id >= $1 AND id < $2 AND public_id = $3 AND account = $4

-- name: jobs
SELECT id, public_id, first_sms, sms_count, options, finished FROM known_job
WHERE account = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT $4 OFFSET $5

-- name: open_jobs
SELECT id, public_id, first_sms, sms_count, options, finished FROM job
WHERE finished IS NULL AND account = $1 AND id >= $2 AND id < $3 ORDER BY id DESC LIMIT $4 OFFSET $5

-- name: sms_range
SELECT id, dst, customer_ref, process_status, status, reason, sent, finished FROM sms
WHERE id >= $1 AND id < $2 ORDER BY id

-- name: sms_range_with_parts
-- In one statement, so that no SMS is read as not final and then found to have no parts any more.
SELECT sms.id, sms.dst, sms.customer_ref, sms.process_status, sms.status, sms.reason, sms.sent, sms.finished,
       live.id, live.state, live.status, live.reason, live.sent
FROM sms LEFT JOIN live ON live.id >> 5 = sms.id AND live.id >= $1::bigint << 5 AND live.id < $2::bigint << 5
WHERE sms.id >= $1 AND sms.id < $2 ORDER BY sms.id, live.id

-- name: sms_that_fit
-- Of SMS between two each, those that meet criteria, NULL being none; those that are not final may, and come with their
-- parts.
SELECT sms.id, sms.dst, sms.customer_ref, sms.process_status, sms.status, sms.reason, sms.sent, sms.finished,
       sms.job, live.id, live.state, live.status, live.reason, live.sent
FROM unnest($1::bigint[], $2::bigint[]) AS wanted (first, until)
JOIN sms ON sms.id >= wanted.first AND sms.id < wanted.until
LEFT JOIN live ON sms.process_status IS NULL AND live.id >= sms.id << 5 AND live.id < (sms.id + 1) << 5
WHERE ($3::text IS NULL OR sms.dst = $3) AND ($4::text IS NULL OR sms.customer_ref = $4)
  AND (sms.process_status IS NULL
    OR (($5::text IS NULL OR sms.process_status = $5) AND ($6::text IS NULL OR sms.status = $6)))
ORDER BY sms.id, live.id

-- Leases

-- name: accounts_due
-- The accounts that have something due in a lane, in turn: those after one by id, then from the lowest on. The index
-- leads from each account to the next.
WITH RECURSIVE turn (account, wrapped) AS (
  SELECT (SELECT min(live.account) FROM live
          WHERE due IS NOT NULL AND carrier = $1 AND lane = $2 AND live.account > $3::int), false
  UNION ALL
  SELECT CASE WHEN turn.account IS NULL
      THEN (SELECT min(live.account) FROM live WHERE due IS NOT NULL AND carrier = $1 AND lane = $2)
      ELSE (SELECT min(live.account) FROM live
            WHERE due IS NOT NULL AND carrier = $1 AND lane = $2 AND live.account > turn.account) END,
    turn.wrapped OR turn.account IS NULL
  FROM turn WHERE NOT turn.wrapped OR turn.account < $3
)
SELECT account FROM turn WHERE (NOT wrapped OR account <= $3) AND (
  SELECT min(due) FROM live
  WHERE due IS NOT NULL AND carrier = $1 AND lane = $2 AND live.account = turn.account) <= $4
LIMIT $5

-- name: take_due
-- What is due of some accounts, so much of each, but what another transaction is busy with; leases that ran out only if
-- they were freed, are this node's own or no node's, or are to be taken over.
SELECT turn.account, found.id FROM unnest($1::int[]) WITH ORDINALITY AS turn (account, place)
CROSS JOIN LATERAL (
  SELECT id, due FROM live
  WHERE due IS NOT NULL AND carrier = $2 AND lane = $3 AND live.account = turn.account AND due <= $4
    AND (live.state <> 1 OR due = 0 OR $6::boolean OR node IS NULL OR node = $7::int)
  ORDER BY due, id LIMIT $5 FOR UPDATE SKIP LOCKED) AS found
ORDER BY turn.place, found.due, found.id

-- name: leased
-- Everything about segments that are to be leased, and whether their number is blocked.
SELECT live.id, live.state, live.attempts, live.status, live.reason, live.heard, live.expires, live.blackouts, sms.dst,
       sms.parts, message.text, message.encoding, message.parts, job.public_id, job.options, job.give_up, live.others,
       live.message_id,
       EXISTS (SELECT FROM blocked WHERE blocked.account = live.account AND blocked.dst = sms.dst)
FROM unnest($1::bigint[]) WITH ORDINALITY AS wanted (id, place)
JOIN live ON live.id = wanted.id JOIN sms ON sms.id = live.id >> 5 JOIN job ON job.id = sms.job
JOIN message ON message.job = sms.job AND message.place = sms.message
ORDER BY wanted.place

-- name: lease
-- What is awaiting its receipt keeps that state, so that no SMS goes back from RUNNING to OPEN. Of what was leased
-- nobody knows whether the carrier has it, so it stays there.
UPDATE live SET state = greatest(live.state, 1), due = $2, node = $3,
  others = CASE WHEN live.state = 1 THEN NULL ELSE live.others END, doubtful = live.doubtful OR live.state = 1
FROM unnest($1::bigint[]) AS wanted (id) WHERE live.id = wanted.id

-- name: free_leases
-- Of a node that is gone: their end needn't be waited for.
UPDATE live SET due = 0 WHERE state = 1 AND node = $1

-- name: hold_segments
-- For us alone until the end of the transaction, after whoever is busy with them.
SELECT live.id FROM unnest($1::bigint[]) AS wanted (id) JOIN live ON live.id = wanted.id
ORDER BY live.id FOR UPDATE OF live

-- name: give_back
-- Segments that a node may have leased until an instant without hearing so: as they were, and due at once; of those that
-- were leased before, it stays unknown whether the carrier has them. Others may have taken us for gone, and freed them.
UPDATE live SET state = lost.state, due = $5
FROM unnest($1::bigint[], $2::smallint[]) AS lost (id, state)
WHERE live.id = lost.id AND live.node = $3 AND live.due IN (0, $4) AND live.state = greatest(lost.state, 1)

-- What becomes of segments

-- name: hold_parts
-- The parts of SMS, for us alone until the end of the transaction.
SELECT live.id, live.state, live.carrier, live.due, live.attempts, live.status, live.reason, live.message_id, live.sent,
       live.heard, live.others, live.doubtful, live.account
FROM unnest($1::bigint[]) AS wanted (sms)
JOIN live ON live.id >= wanted.sms << 5 AND live.id < (wanted.sms + 1) << 5
ORDER BY live.id FOR UPDATE OF live

-- name: hold_parts_at_once
-- The same of those with which nobody else is busy.
SELECT live.id, live.state, live.carrier, live.due, live.attempts, live.status, live.reason, live.message_id, live.sent,
       live.heard, live.others, live.doubtful, live.account
FROM unnest($1::bigint[]) AS wanted (sms)
JOIN live ON live.id >= wanted.sms << 5 AND live.id < (wanted.sms + 1) << 5
ORDER BY live.id FOR UPDATE OF live SKIP LOCKED

-- name: write_parts
UPDATE live SET state = news.state, carrier = news.carrier, due = news.due, attempts = news.attempts,
  status = news.status, reason = news.reason, message_id = news.message_id, sent = news.sent, heard = news.heard,
  others = news.others, doubtful = news.doubtful
FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::bigint[], $5::int[], $6::text[], $7::text[], $8::text[],
  $9::bigint[], $10::boolean[], $11::bytea[], $12::boolean[])
  AS news (id, state, carrier, due, attempts, status, reason, message_id, sent, heard, others, doubtful)
WHERE live.id = news.id

-- name: end_sms
-- They leave `live` with all their parts, and webhooks are told. Gives back their jobs, whether those have other SMS, and
-- how many events that made.
WITH news AS (
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
    AS news (id, process_status, status, reason, sent, finished)
), ended AS (
  UPDATE sms SET process_status = news.process_status, status = news.status, reason = news.reason, sent = news.sent,
    finished = news.finished
  FROM news WHERE sms.id = news.id AND sms.process_status IS NULL
  RETURNING sms.id, sms.job, sms.finished
), gone AS (
  DELETE FROM live WHERE id = ANY ($7::bigint[])
), whole AS MATERIALIZED (
  SELECT ended.id, ended.job, ended.finished, job.account, job.sms_count FROM ended JOIN job ON job.id = ended.job
), told AS (
  INSERT INTO event (webhook, type, ref, at, state, due, attempts, reason)
  SELECT webhook.id, 0, whole.id, whole.finished, 0, whole.finished, 0, ''
  FROM whole JOIN webhook ON webhook.account = whole.account AND webhook.types & 1 <> 0
  ORDER BY whole.id, webhook.id
  RETURNING id
)
SELECT job, sms_count > 1, (SELECT count(*) FROM told) FROM whole

-- name: hold_jobs
-- Those of several SMS, of which two transactions may end the last two: one waits, and finds nothing live any more.
SELECT job.id FROM unnest($1::bigint[]) AS wanted (id) JOIN job ON job.id = wanted.id ORDER BY job.id
FOR NO KEY UPDATE OF job

-- name: finish_jobs
-- Of the jobs to which ended SMS belong, those with nothing live are finished, and webhooks are told, after the events of
-- the SMS. Gives back how many events that made. "finished IS NULL" would do as well, but then the index of all open jobs
-- might be read from end to end instead of the key.
WITH done AS (
  UPDATE job SET finished =
    (SELECT max(sms.finished) FROM sms WHERE sms.id >= job.first_sms AND sms.id < job.first_sms + job.sms_count)
  FROM unnest($1::bigint[]) AS wanted (id)
  WHERE job.id = wanted.id AND coalesce(finished, -1) < 0 AND NOT EXISTS (
    SELECT FROM live WHERE live.id >= job.first_sms << 5 AND live.id < (job.first_sms + job.sms_count) << 5)
  RETURNING job.id, account, first_sms, sms_count, finished
), told AS (
  INSERT INTO event (webhook, type, ref, at, state, due, attempts, reason)
  SELECT webhook.id, 1, done.id, done.finished, CASE WHEN EXISTS (
      SELECT FROM event AS other WHERE other.webhook = webhook.id AND other.type = 0
        AND other.ref >= done.first_sms AND other.ref < done.first_sms + done.sms_count AND other.state <> 2)
    THEN 1 ELSE 0 END, done.finished, 0, ''
  FROM done JOIN webhook ON webhook.account = done.account AND webhook.types & 2 <> 0
  RETURNING id
)
SELECT count(*) FROM told

-- name: by_message_id
-- Also of SMS that were killed; with the phones that they went to.
SELECT live.id, live.message_id, live.carrier, sms.dst FROM unnest($1::text[], $2::text[]) AS wanted (message_id, carrier)
JOIN live ON live.message_id = wanted.message_id AND live.carrier = wanted.carrier
JOIN sms ON sms.id = live.id >> 5
UNION ALL
SELECT late.id, late.message_id, late.carrier, sms.dst FROM unnest($1::text[], $2::text[]) AS wanted (message_id, carrier)
JOIN late ON late.message_id = wanted.message_id AND late.carrier = wanted.carrier
JOIN sms ON sms.id = late.id >> 5

-- name: killed
SELECT sms.id FROM unnest($1::bigint[]) AS wanted (id) JOIN sms ON sms.id = wanted.id AND process_status = 'KILL'

-- name: hold_late
-- The parts of killed SMS whose receipts are told, for us alone until the end of the transaction.
SELECT late.id, late.carrier, late.message_id, late.until, late.word
FROM unnest($1::bigint[]) AS wanted (sms)
JOIN late ON late.id >= wanted.sms << 5 AND late.id < (wanted.sms + 1) << 5
ORDER BY late.id FOR UPDATE OF late

-- name: write_late
INSERT INTO late (id, carrier, message_id, until, word)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[])
ON CONFLICT (id) DO UPDATE SET carrier = excluded.carrier, message_id = excluded.message_id, until = excluded.until,
  word = excluded.word, recall_due = CASE WHEN excluded.word = '' THEN 0 END, recalls = 0

-- name: lease_recalls
-- What a carrier is to be told to drop, of which no final receipt has come; what other nodes are at is left to them.
WITH due AS (
  SELECT id FROM late WHERE carrier = $1 AND recall_due <= $2 AND until > $2 AND word = ''
  ORDER BY recall_due, id LIMIT $3 FOR UPDATE SKIP LOCKED
), leased AS (
  UPDATE late SET recalls = late.recalls + 1, recall_due = CASE WHEN late.recalls + 1 < $5 THEN $4::bigint END
  FROM due WHERE late.id = due.id RETURNING late.id, late.message_id
)
SELECT leased.id, leased.message_id, job.options
FROM leased JOIN sms ON sms.id = leased.id >> 5 JOIN job ON job.id = sms.job ORDER BY leased.id

-- name: settle_recalls
WITH told AS (
  SELECT late.id FROM unnest($1::text[], $2::text[]) AS wanted (message_id, carrier)
  JOIN late ON late.message_id = wanted.message_id AND late.carrier = wanted.carrier
  ORDER BY late.id FOR UPDATE OF late
)
UPDATE late SET recall_due = NULL FROM told WHERE late.id = told.id

-- name: tell_late
UPDATE sms SET reason = news.reason FROM unnest($1::bigint[], $2::text[]) AS news (id, reason) WHERE sms.id = news.id

-- name: forget_late
-- Those that have had their time, a few at each call.
DELETE FROM late WHERE id = ANY (ARRAY(
  SELECT id FROM late WHERE until <= $1 ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED))

-- name: delete_late
DELETE FROM late USING unnest($1::bigint[], $2::bigint[]) AS old (first, last)
WHERE late.id >= old.first << 5 AND late.id < old.last << 5

-- name: dsts
SELECT sms.id, dst FROM unnest($1::bigint[]) AS wanted (id) JOIN sms ON sms.id = wanted.id

-- name: park
INSERT INTO parked (carrier, message_id, at, content)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[])

-- name: parked
-- Receipts that came for message ids, not before an instant.
SELECT parked.id, parked.carrier, parked.content
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS wanted (message_id, carrier, since)
JOIN parked ON parked.message_id = wanted.message_id AND parked.carrier = wanted.carrier AND parked.at > wanted.since
ORDER BY parked.id

-- name: unpark
DELETE FROM parked WHERE id = ANY ($1::bigint[])

-- name: forget_parked
-- Those that have had their time, a few at each call.
DELETE FROM parked WHERE id = ANY (ARRAY(
  SELECT id FROM (SELECT id, at FROM parked WHERE message_id <> '' ORDER BY id LIMIT $1) AS oldest WHERE at <= $2))

-- name: unpark_lookalike
DELETE FROM parked WHERE message_id = $1 AND carrier = $2 AND content = $3

-- name: lookalikes
-- What read like receipts, and was for nobody until an instant.
SELECT id, carrier, content FROM parked WHERE message_id = $1 AND at <= $2 ORDER BY carrier LIMIT $3

-- name: take_lookalike
DELETE FROM parked WHERE id = $1

-- name: awaiting_receipts
SELECT message_id FROM live WHERE carrier = $1 AND state = 2 AND message_id IS NOT NULL ORDER BY id

-- name: abandoned_receipts
-- Those awaited from a carrier of what was handed to it by nodes that have gone.
SELECT message_id FROM live WHERE carrier = $1 AND state = 2 AND message_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM node WHERE node.id = live.node) ORDER BY id

-- Accounts

-- name: account
SELECT id, content FROM account WHERE name = $1

-- name: accounts
SELECT id, content FROM account ORDER BY name

-- name: insert_account
-- A name that is taken uses up no number, but where two put it there at once.
INSERT INTO account (name, content) SELECT $1::text, $2::bytea WHERE NOT EXISTS (SELECT FROM account WHERE name = $1)
ON CONFLICT DO NOTHING RETURNING id

-- name: update_account
UPDATE account SET name = $2, content = $3
WHERE id = $1 AND NOT EXISTS (SELECT FROM account AS other WHERE other.name = $2 AND other.id <> $1)

-- name: meet_callers
INSERT INTO caller (account, last_call) SELECT account, 0 FROM unnest($1::int[]) AS account ON CONFLICT DO NOTHING

-- name: hold_callers
SELECT account, last_call FROM caller WHERE account = ANY ($1::int[]) ORDER BY account FOR UPDATE

-- name: calls_after
SELECT call.account, call.number, call.at FROM unnest($1::int[], $2::bigint[]) AS known (account, number)
JOIN call ON call.account = known.account AND call.number > known.number ORDER BY call.account, call.number

-- name: insert_calls
INSERT INTO call (account, number, at) SELECT * FROM unnest($1::int[], $2::bigint[], $3::double precision[])

-- name: count_calls
UPDATE caller SET last_call = news.last_call FROM unnest($1::int[], $2::bigint[]) AS news (account, last_call)
WHERE caller.account = news.account

-- name: forget_calls
-- Up to a number each: those that don't count any more.
DELETE FROM call USING unnest($1::int[], $2::bigint[]) AS old (account, number)
WHERE call.account = old.account AND call.number <= old.number

-- Retention

-- name: hold_forgotten
-- Below which number jobs have been forgotten; for us alone until the end of the transaction.
INSERT INTO forgotten AS kept (one, below) VALUES (true, 0) ON CONFLICT (one) DO UPDATE SET below = kept.below
RETURNING below

-- name: write_forgotten
UPDATE forgotten SET below = $1 WHERE one

-- name: jobs_between
SELECT id, first_sms, sms_count, finished IS NOT NULL FROM job WHERE id >= $1 AND id < $2 ORDER BY id LIMIT $3

-- name: linger
INSERT INTO lingering (job) SELECT * FROM unnest($1::bigint[]) ON CONFLICT DO NOTHING

-- name: lingered
-- Jobs that lingered and are finished now, oldest first.
SELECT done.id, done.first_sms, done.sms_count FROM lingering CROSS JOIN LATERAL (
  SELECT id, first_sms, sms_count FROM job WHERE job.id = lingering.job AND finished IS NOT NULL LIMIT 1) AS done
WHERE lingering.job < $1 ORDER BY lingering.job LIMIT $2

-- name: delete_lingering
DELETE FROM lingering WHERE job = ANY ($1::bigint[])

-- name: jobs_with_texts
SELECT id FROM known_job WHERE NOT blank AND id < $1 AND finished IS NOT NULL ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED

-- name: blank_messages
UPDATE message SET text = '', parts = NULL FROM unnest($1::bigint[]) AS old (job) WHERE message.job = old.job

-- name: blank_jobs
UPDATE job SET blank = true FROM unnest($1::bigint[]) AS old (id) WHERE job.id = old.id

-- name: delete_sms
DELETE FROM sms USING unnest($1::bigint[], $2::bigint[]) AS old (first, last)
WHERE sms.id >= old.first AND sms.id < old.last

-- name: delete_messages
DELETE FROM message USING unnest($1::bigint[]) AS old (job) WHERE message.job = old.job

-- name: delete_jobs
DELETE FROM job USING unnest($1::bigint[]) AS old (id) WHERE job.id = old.id

-- name: rest_of_jobs
-- Forgotten jobs that are in no partition that will be dropped, oldest first.
SELECT job_rest.id, first_sms, sms_count FROM job_rest
WHERE id < $1 AND finished IS NOT NULL AND NOT EXISTS (SELECT FROM lingering WHERE lingering.job = job_rest.id)
ORDER BY id LIMIT $2

-- Partitions

-- name: partitions
SELECT number, since, until, row_by_row, last_job FROM partition ORDER BY number

-- name: forgotten_below
SELECT below FROM forgotten WHERE one

-- name: last_of_rest
-- The last millisecond of which something is in no partition.
SELECT greatest((SELECT max(id) >> 20 FROM job_rest), (SELECT max(job) >> 20 FROM message_rest),
  (SELECT (max(id) >> 26) * 1000 + 999 FROM sms_rest))

-- name: insert_partition
INSERT INTO partition (number, since, until, row_by_row) VALUES ($1, $2, $3, false)

-- name: choose_row_by_row
-- Of partitions that are longer than so many milliseconds, but never of the first.
UPDATE partition SET row_by_row = until - since > $1 WHERE number > 0 AND row_by_row <> (until - since > $1)

-- name: delete_partition
DELETE FROM partition WHERE number = $1

-- name: keep_partition
UPDATE partition SET last_job = $2 WHERE number = $1

-- name: survivors
-- Jobs below a number that are not forgotten.
SELECT id, first_sms, sms_count FROM job WHERE finished IS NULL AND id < $1
UNION
SELECT left_over.id, left_over.first_sms, left_over.sms_count FROM lingering CROSS JOIN LATERAL (
  SELECT id, first_sms, sms_count FROM job WHERE job.id = lingering.job LIMIT 1) AS left_over

-- name: have_sms_between
-- Whether jobs from one on have SMS with numbers between two.
SELECT EXISTS (SELECT FROM job WHERE id >= $1 AND first_sms < $3 AND first_sms + sms_count > $2)

-- name: try_history
SELECT pg_try_advisory_lock($1)

-- Metrics

-- name: live_count
-- How many SMS are not final, and how many of those have a part to be handed over.
SELECT count(*), count(*) FILTER (WHERE waiting) FROM (SELECT bool_or(state < 2) AS waiting FROM live GROUP BY id >> 5)
AS sms

-- name: sms_at_other_carriers
-- How many SMS that are not final are with carriers other than these. The index leads from each carrier to the next.
WITH RECURSIVE turn (carrier) AS (
  SELECT min(carrier) FROM live WHERE due IS NOT NULL
  UNION ALL
  SELECT (SELECT min(live.carrier) FROM live WHERE due IS NOT NULL AND live.carrier > turn.carrier)
  FROM turn WHERE turn.carrier IS NOT NULL
)
SELECT carrier, (
  SELECT count(DISTINCT id >> 5) FROM live WHERE due IS NOT NULL AND live.carrier = turn.carrier)
FROM turn WHERE carrier IS NOT NULL AND carrier <> ALL ($1::text[])

-- name: oldest_due
-- Since when something is waiting to be sent, by carrier. The index leads from lane to lane and account to account.
WITH RECURSIVE turn (carrier, lane, account) AS (
  (SELECT carrier, lane, account FROM live WHERE due IS NOT NULL ORDER BY carrier, lane, account LIMIT 1)
  UNION ALL
  SELECT further.carrier, further.lane, further.account FROM turn CROSS JOIN LATERAL (
    SELECT live.carrier, live.lane, live.account FROM live WHERE due IS NOT NULL
      AND (live.carrier, live.lane, live.account) > (turn.carrier, turn.lane, turn.account)
    ORDER BY carrier, lane, account LIMIT 1) AS further
)
SELECT turn.carrier, min(oldest.due) FROM turn CROSS JOIN LATERAL (
  SELECT due FROM live WHERE due IS NOT NULL AND live.carrier = turn.carrier AND live.lane = turn.lane
    AND live.account = turn.account AND due <= $1 AND state = 0 ORDER BY due LIMIT 1) AS oldest
GROUP BY turn.carrier

-- SMS from phones

-- name: list_sent
-- SMS that a carrier has got, or may have, from which it is still to be gathered who wrote to which phones. What the
-- column `job` has is when that was, as in the number of a job received then.
INSERT INTO ungathered (job, account, first_sms, sms_count)
SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::int[])

-- name: accounts_of_sms
SELECT sms.id, job.account FROM unnest($1::bigint[]) AS wanted (id) JOIN sms ON sms.id = wanted.id
JOIN job ON job.id = sms.job

-- name: gather_sent
-- What is listed, taken off the list.
DELETE FROM ungathered WHERE ctid = ANY (ARRAY(SELECT ctid FROM ungathered LIMIT $1))
RETURNING job, account, first_sms, sms_count

-- name: gather_writers
-- Who wrote to which phones, from SMS that were listed, in no order.
INSERT INTO last_writer AS known (phone, account, job)
SELECT DISTINCT ON (phone) phone, account, job FROM (
  SELECT substr(sms.dst, 2)::bigint AS phone, news.account, news.job, sms.id
  FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::int[]) AS news (job, account, first_sms, sms_count)
  JOIN sms ON sms.id >= news.first_sms AND sms.id < news.first_sms + news.sms_count
  WHERE sms.dst ~ '^[+][0-9]{1,15}$') AS wrote
ORDER BY phone, job DESC, id DESC
ON CONFLICT (phone) DO UPDATE SET account = excluded.account, job = excluded.job
WHERE excluded.job > known.job

-- name: last_writer
SELECT account FROM last_writer WHERE phone = $1

-- name: last_writers_after
SELECT max(phone) FROM (SELECT phone FROM last_writer WHERE phone > $1 ORDER BY phone LIMIT $2) AS further

-- name: forget_last_writers
-- Of the phones between two, those that nobody has written to since a day.
DELETE FROM last_writer WHERE phone > $1 AND phone <= $2 AND (job >> 20) / 86400000 < $3

-- name: inbound_thread
-- The last parts of SMS that may be the same one.
SELECT id, sms, done, content FROM inbound_part
WHERE src = $1 AND dst = $2 AND reference = $3 AND parts = $4 AND carrier = $5 ORDER BY id DESC LIMIT $6

-- name: next_inbound_part
SELECT nextval(pg_get_serial_sequence('inbound_part', 'id'))

-- name: insert_inbound_part
INSERT INTO inbound_part (id, carrier, src, dst, reference, parts, received, sms, done, content)
OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8, false, $9)

-- name: parts_of_inbound
SELECT content FROM inbound_part WHERE sms = $1 ORDER BY id

-- name: inbound_done
UPDATE inbound_part SET done = true WHERE sms = $1

-- name: inbound_overdue
-- SMS that wait for parts since before an instant.
WITH overdue AS MATERIALIZED (SELECT sms FROM inbound_part WHERE NOT done AND received < $1)
SELECT DISTINCT sms FROM overdue ORDER BY sms LIMIT $2

-- name: forget_inbound_parts
-- Those that need not be known any more, a few at each call.
DELETE FROM inbound_part WHERE id = ANY (ARRAY(
  SELECT id FROM inbound_part WHERE done AND received <= $1 ORDER BY received LIMIT $2))

-- name: insert_inbound
-- Webhooks are told; it says how many.
WITH whole AS (
  INSERT INTO inbound (public_id, account, src, dst, text, received) VALUES ($1, $2, $3, $4, $5, $6)
  RETURNING id, account, received
)
INSERT INTO event (webhook, type, ref, at, state, due, attempts, reason)
SELECT webhook.id, 2, whole.id, whole.received, 0, whole.received, 0, ''
FROM whole JOIN webhook ON webhook.account = whole.account AND webhook.types & 4 <> 0 ORDER BY webhook.id

-- name: inbound
SELECT public_id, account, src, dst, text, received FROM inbound
WHERE account = $1 AND received >= $2 AND received < $3 ORDER BY received DESC, id DESC LIMIT $4 OFFSET $5

-- name: forget_inbound
DELETE FROM inbound WHERE id = ANY (ARRAY(
  SELECT id FROM (SELECT id, received FROM inbound ORDER BY id LIMIT $1) AS oldest WHERE received < $2))

-- The blocklist

-- name: accounts_that_block
SELECT wanted.account FROM unnest($1::int[]) AS wanted (account)
WHERE EXISTS (SELECT FROM blocked WHERE blocked.account = wanted.account)

-- name: block
INSERT INTO blocked (account, dst, created) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING

-- name: unblock
DELETE FROM blocked WHERE account = $1 AND dst = $2 RETURNING dst, created

-- name: blocked
SELECT dst, created FROM blocked WHERE account = $1 AND dst = $2

-- name: blocklist
SELECT dst, created FROM blocked WHERE account = $1 ORDER BY dst LIMIT $2 OFFSET $3

-- name: blocked_among
-- Of numbers to which accounts write, those on their blocklists.
SELECT blocked.account, blocked.dst FROM unnest($1::int[], $2::text[]) AS wanted (account, dst)
JOIN blocked ON blocked.account = wanted.account AND blocked.dst = wanted.dst

-- name: waiting_for
-- SMS of accounts to numbers that wait, by their first part.
SELECT live.id >> 5 FROM live JOIN sms ON sms.id = live.id >> 5
WHERE live.id & 31 = 0 AND live.state = 0 AND live.account = ANY ($1::int[])
  AND (live.account, sms.dst) IN (SELECT * FROM unnest($1::int[], $2::text[]))

-- Webhooks

-- name: webhook_count
SELECT count(*) FROM webhook WHERE account = $1

-- name: insert_webhook
INSERT INTO webhook (public_id, account, types, token, content) VALUES ($1, $2, $3, $4, $5)

-- name: webhooks
SELECT content FROM webhook WHERE account = $1 ORDER BY id

-- name: webhook
SELECT id, account, content FROM webhook WHERE public_id = $1

-- name: hold_webhook
SELECT id, account, content FROM webhook WHERE public_id = $1 FOR UPDATE

-- name: update_webhook
UPDATE webhook SET types = $2, content = $3 WHERE id = $1

-- name: delete_webhook
DELETE FROM webhook WHERE public_id = $1 AND account = $2 RETURNING id, content

-- name: delete_trigger
DELETE FROM webhook WHERE token = $1 RETURNING id, content

-- name: delete_events_of
-- Those of a webhook, a few at each call.
DELETE FROM event WHERE id = ANY (ARRAY(SELECT id FROM event WHERE webhook = $1 LIMIT $2))

-- name: tell_of_sms
-- SMS that are final from the start.
INSERT INTO event (webhook, type, ref, at, state, due, attempts, reason)
SELECT webhook.id, 0, sms.id, sms.finished, 0, sms.finished, 0, ''
FROM unnest($1::bigint[]) AS final (id) JOIN sms ON sms.id = final.id JOIN job ON job.id = sms.job
JOIN webhook ON webhook.account = job.account AND webhook.types & 1 <> 0 ORDER BY sms.id, webhook.id

-- name: tell_of_jobs
-- Jobs that are finished from the start; after the events of their SMS.
INSERT INTO event (webhook, type, ref, at, state, due, attempts, reason)
SELECT webhook.id, 1, job.id, job.finished, webhook.types & 1, job.finished, 0, ''
FROM unnest($1::bigint[]) AS final (id) JOIN job ON job.id = final.id
JOIN webhook ON webhook.account = job.account AND webhook.types & 2 <> 0 ORDER BY job.id, webhook.id

-- name: webhooks_due
-- The webhooks from one on, and up to another, that have an event due. The index leads from each to the next.
WITH RECURSIVE turn (webhook) AS (
  SELECT min(webhook) FROM event WHERE state = 0 AND webhook > $1::bigint
  UNION ALL
  SELECT (SELECT min(event.webhook) FROM event WHERE event.state = 0 AND event.webhook > turn.webhook)
  FROM turn WHERE turn.webhook <= $2
)
SELECT webhook.id, webhook.content FROM turn
CROSS JOIN LATERAL (SELECT id, content, types FROM webhook WHERE webhook.id = turn.webhook LIMIT 1) AS webhook
WHERE turn.webhook <= $2 AND webhook.types <> 0 AND (
  SELECT min(due) FROM event WHERE event.state = 0 AND event.webhook = turn.webhook) <= $3
ORDER BY turn.webhook LIMIT $4

-- name: events_due
-- What is due of some webhooks, so much of each, but what another transaction is busy with.
SELECT turn.webhook, found.id, found.type, found.ref, found.at, found.attempts
FROM unnest($1::bigint[], $2::int[]) WITH ORDINALITY AS turn (webhook, room, place)
CROSS JOIN LATERAL (
  SELECT id, type, ref, at, attempts, due FROM event
  WHERE state = 0 AND event.webhook = turn.webhook AND due <= $3
  ORDER BY due, id LIMIT turn.room FOR UPDATE SKIP LOCKED) AS found
ORDER BY turn.place, found.due, found.id

-- name: lease_events
UPDATE event SET due = $2, node = $3 WHERE id = ANY ($1::bigint[])

-- name: free_event_leases
-- Of a node that is gone: their end needn't be waited for.
UPDATE event SET due = 0, node = NULL WHERE state = 0 AND node = $1

-- name: sms_told
SELECT sms.id, job.public_id, job.first_sms, sms.dst, sms.customer_ref, sms.process_status, sms.status, sms.reason,
  sms.sent, sms.finished
FROM unnest($1::bigint[]) AS wanted (id) JOIN sms ON sms.id = wanted.id JOIN known_job AS job ON job.id = sms.job

-- name: jobs_told
SELECT job.id, public_id, first_sms, sms_count, options, finished FROM unnest($1::bigint[]) AS wanted (id)
JOIN known_job AS job ON job.id = wanted.id

-- name: inbound_told
SELECT inbound.id, public_id, account, src, dst, text, received FROM unnest($1::bigint[]) AS wanted (id)
JOIN inbound ON inbound.id = wanted.id

-- name: hold_events
-- For us alone until the end of the transaction; those of SMS with their job.
SELECT event.id, event.webhook, job.id, event.state, event.due
FROM unnest($1::bigint[]) AS wanted (id) JOIN event ON event.id = wanted.id
LEFT JOIN sms ON event.type = 0 AND sms.id = event.ref LEFT JOIN job ON job.id = sms.job
ORDER BY event.id FOR UPDATE OF event

-- name: delete_events
DELETE FROM event WHERE id = ANY ($1::bigint[])

-- name: postpone_events
UPDATE event SET due = news.due, node = NULL, attempts = news.attempts, reason = news.reason
FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::text[]) AS news (id, due, attempts, reason)
WHERE event.id = news.id

-- name: give_up_events
UPDATE event SET state = 2, due = news.due, node = NULL, attempts = news.attempts, reason = news.reason
FROM unnest($1::bigint[], $2::bigint[], $3::int[], $4::text[]) AS news (id, due, attempts, reason)
WHERE event.id = news.id

-- name: release_jobs
-- Jobs' events that wait for no event of an SMS any more, once some have been settled.
UPDATE event SET state = 0
FROM unnest($1::bigint[], $2::bigint[]) AS settled (webhook, job) JOIN job ON job.id = settled.job
WHERE event.webhook = settled.webhook AND event.type = 1 AND event.ref = job.id AND event.state = 1 AND NOT EXISTS (
  SELECT FROM event AS other WHERE other.webhook = settled.webhook AND other.type = 0
    AND other.ref >= job.first_sms AND other.ref < job.first_sms + job.sms_count AND other.state <> 2)

-- name: events_given_up
SELECT type, ref, attempts, reason, due FROM event WHERE webhook = $1 AND state = 2 ORDER BY id LIMIT $2 OFFSET $3

-- name: replay_events
UPDATE event SET state = 0, due = $2, attempts = 0, reason = '' WHERE id = ANY (ARRAY(
  SELECT id FROM event WHERE webhook = $1 AND state = 2 ORDER BY id LIMIT $3 FOR UPDATE))

-- name: old_events
SELECT id FROM (SELECT id, at FROM event ORDER BY id LIMIT $1) AS oldest WHERE at < $2

-- name: events_waiting
-- Those of a webhook that was removed in the same moment are left to retention, and count no more.
SELECT count(*) FROM event WHERE state < 2 AND EXISTS (SELECT FROM webhook WHERE webhook.id = event.webhook)

-- Nodes

-- name: meet
INSERT INTO dispatching (node, until) VALUES ($1, $2) ON CONFLICT (node) DO UPDATE SET until = excluded.until

-- name: part
-- From those that have said nothing for too long.
DELETE FROM dispatching WHERE node = ANY (ARRAY(SELECT node FROM dispatching WHERE until <= $1 FOR UPDATE SKIP LOCKED))

-- name: dispatching
SELECT count(*) FROM dispatching WHERE until > $1

-- name: claim
INSERT INTO claim (role, node, until) VALUES ($1, $2, $3)
ON CONFLICT (role) DO UPDATE SET node = excluded.node, until = excluded.until
WHERE claim.node = excluded.node OR claim.until <= $4

-- name: release
DELETE FROM claim WHERE role = $1 AND node = $2

-- name: insert_node
INSERT INTO node (ready) VALUES ((extract(epoch FROM clock_timestamp()) * 1000)::bigint) RETURNING id

-- name: keep_node
INSERT INTO node (id, ready) OVERRIDING SYSTEM VALUE
VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
ON CONFLICT (id) DO UPDATE SET ready = excluded.ready

-- name: delete_node
DELETE FROM node WHERE id = $1

-- name: lock_node
SELECT pg_try_advisory_lock($1, $2)

-- name: unlock_node
SELECT pg_advisory_unlock($1, $2)

-- name: nodes
-- All of them, and whether somebody holds their lock.
SELECT id, id IN (
  SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' AND classid = $1::bigint AND objsubid = 2 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
FROM node

-- name: notify
SELECT pg_notify('heliograph_work', carrier) FROM unnest($1::text[]) AS carrier

-- The schema

-- name: what_is_there
-- Whether our schema is; and, if anything is, a table with the name of one of ours. to_regclass would answer from what it
-- saw before we waited for the lock.
SELECT count(*) FILTER (WHERE relname = 'heliograph_schema') > 0, min(relname) FROM pg_class
WHERE relname = ANY ($1::text[] || 'heliograph_schema'::text) AND pg_table_is_visible(oid)

-- name: schema
SELECT version, compatible_from FROM heliograph_schema

-- name: lock_schema
SELECT pg_advisory_xact_lock($1::bigint)

-- name: encoding
SELECT current_setting('server_encoding')

-- name: create_schema
CREATE TABLE heliograph_schema (version int NOT NULL, compatible_from int NOT NULL)

-- name: insert_schema
INSERT INTO heliograph_schema VALUES (0, 0)

-- name: update_schema
UPDATE heliograph_schema SET version = $1, compatible_from = $2

-- name: is_read_only
SELECT current_setting('transaction_read_only') = 'on'

-- Copying from another database

-- name: column_types
SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1

-- name: identities
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND is_identity = 'YES' ORDER BY table_name
