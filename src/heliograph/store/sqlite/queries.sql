-- Each query begins with its name. `:rows` stands for as many rows of parameters as are given.

-- name: insert_jobs
INSERT INTO job (id, public_id, account, first_sms, sms_count, give_up, options, blank, finished) VALUES :rows

-- name: insert_messages
INSERT INTO message (job, place, text, encoding, parts) VALUES :rows

-- name: insert_sms
INSERT INTO sms (id, job, message, dst, customer_ref, parts, process_status, status, reason, sent, finished)
VALUES :rows

-- name: insert_live
INSERT INTO live (id, carrier, lane, account, due, expires, blackouts, state, attempts, status, reason, message_id, sent, heard, others)
VALUES :rows

-- name: last_sms_number
SELECT max((SELECT last_sms FROM given), coalesce((SELECT max(id) FROM sms), 0))

-- name: keep_last_sms_number
UPDATE given SET last_sms = ?

-- name: fingerprint
-- An equal request accepted after an instant.
SELECT job FROM fingerprint WHERE account = ? AND digest = ? AND accepted > ?

-- name: keep_fingerprint
-- REPLACE, so that a renewed one gets a new id: they stay in order of time.
INSERT OR REPLACE INTO fingerprint (account, digest, job, accepted) VALUES (?, ?, ?, ?)

-- name: forget_fingerprints
-- Those that have had their time, a few at each call.
DELETE FROM fingerprint WHERE id IN (SELECT id FROM fingerprint ORDER BY id LIMIT ?) AND accepted <= ?

-- name: idempotency
-- What an idempotency key was used for after an instant.
SELECT digest, job FROM idempotency WHERE account = ? AND key = ? AND accepted > ?

-- name: keep_idempotency
-- REPLACE, as for fingerprints.
INSERT OR REPLACE INTO idempotency (account, key, digest, job, accepted) VALUES (?, ?, ?, ?, ?)

-- name: forget_idempotency
-- Those that have had their time, a few at each call.
DELETE FROM idempotency WHERE id IN (SELECT id FROM idempotency ORDER BY id LIMIT ?) AND accepted <= ?

-- name: job
SELECT id, public_id, first_sms, sms_count, options, finished FROM job
WHERE id >= ? AND id < ? AND public_id = ? AND account = ?

-- name: jobs
SELECT id, public_id, first_sms, sms_count, options, finished FROM job INDEXED BY job_by_account
WHERE account = ? AND id >= ? AND id < ? ORDER BY id DESC LIMIT ? OFFSET ?

-- name: open_jobs
SELECT id, public_id, first_sms, sms_count, options, finished FROM job INDEXED BY job_open
WHERE finished IS NULL AND account = ? AND id >= ? AND id < ? ORDER BY id DESC LIMIT ? OFFSET ?

-- name: sms_range
SELECT id, dst, customer_ref, process_status, status, reason, sent, finished FROM sms WHERE id >= ? AND id < ? ORDER BY id

-- name: live_range
SELECT id, state, status, reason, sent FROM live WHERE id >= ? AND id < ? ORDER BY id

-- name: sms_that_fit
-- Of SMS between two, those that meet criteria, NULL being none; those that are not final may.
WITH wanted (first, until, dst, customer_ref, process_status, status) AS (VALUES :rows)
SELECT sms.id, sms.dst, sms.customer_ref, sms.process_status, sms.status, sms.reason, sms.sent, sms.finished
FROM wanted CROSS JOIN sms ON sms.id >= wanted.first AND sms.id < wanted.until
WHERE (wanted.dst IS NULL OR sms.dst = wanted.dst)
  AND (wanted.customer_ref IS NULL OR sms.customer_ref = wanted.customer_ref)
  AND (sms.process_status IS NULL
    OR ((wanted.process_status IS NULL OR sms.process_status = wanted.process_status)
    AND (wanted.status IS NULL OR sms.status = wanted.status)))

-- name: span_of_jobs
-- The last jobs of an account in a span: how many, the lowest number, from which SMS to which, and how many SMS.
SELECT count(*), min(id), min(first_sms), max(first_sms + sms_count), coalesce(sum(sms_count), 0) FROM (
  SELECT id, first_sms, sms_count FROM job INDEXED BY job_by_account
  WHERE account = ? AND id >= ? AND id < ? ORDER BY id DESC LIMIT ?)

-- name: jobs_of_billcode
SELECT id, public_id, first_sms, sms_count, options, finished FROM job INDEXED BY job_by_account
WHERE account = ? AND id >= ? AND id < ? AND json_extract(CAST(options AS TEXT), '$.billcode') = ? ORDER BY id DESC

-- name: sms_of_span
-- Of SMS between two, of jobs between two, those that meet criteria, as in sms_that_fit.
SELECT id, dst, customer_ref, process_status, status, reason, sent, finished, job FROM sms
WHERE id >= ? AND id < ? AND job >= ? AND job < ? AND (? IS NULL OR dst = ?) AND (? IS NULL OR customer_ref = ?)
  AND (process_status IS NULL OR ((? IS NULL OR process_status = ?) AND (? IS NULL OR status = ?)))

-- name: jobs_by_number
WITH wanted (id, account) AS (VALUES :rows)
SELECT job.id, job.public_id, job.first_sms, job.sms_count, job.options, job.finished FROM wanted
CROSS JOIN job ON job.id = wanted.id AND job.account = wanted.account

-- name: live_of_sms
WITH wanted (sms) AS (VALUES :rows)
SELECT live.id, live.state, live.status, live.reason, live.sent FROM wanted
CROSS JOIN live ON live.id >= wanted.sms << 5 AND live.id < (wanted.sms + 1) << 5

-- name: accounts_due
-- The accounts between two, by id, that have anything due in a lane. The index leads from each account to the next.
WITH RECURSIVE turn (account) AS (
  SELECT min(account) FROM live INDEXED BY live_due
  WHERE due IS NOT NULL AND carrier = ? AND lane = ? AND account > ?
  UNION ALL
  SELECT (SELECT min(live.account) FROM live INDEXED BY live_due
    WHERE due IS NOT NULL AND carrier = ? AND lane = ? AND live.account > turn.account)
  FROM turn WHERE turn.account <= ?
)
SELECT account FROM turn WHERE account <= ? AND (
  SELECT min(due) FROM live INDEXED BY live_due
  WHERE due IS NOT NULL AND carrier = ? AND lane = ? AND live.account = turn.account) <= ?
LIMIT ?

-- name: due_of_account
SELECT id FROM live INDEXED BY live_due
WHERE due IS NOT NULL AND carrier = ? AND lane = ? AND account = ? AND due <= ? ORDER BY due, id LIMIT ?

-- name: leased
-- Everything about segments just leased.
WITH wanted (id) AS (VALUES :rows)
SELECT live.id, live.state, live.attempts, live.status, live.reason, live.heard, live.expires, live.blackouts, sms.dst,
       sms.parts, message.text, message.encoding, message.parts, job.public_id, job.options, job.give_up,
       live.others, live.message_id
FROM wanted CROSS JOIN live ON live.id = wanted.id CROSS JOIN sms ON sms.id = live.id >> 5
CROSS JOIN job ON job.id = sms.job CROSS JOIN message ON message.job = sms.job AND message.place = sms.message

-- name: lease
-- What is awaiting its receipt keeps that state, so that no SMS goes back from RUNNING to OPEN. Of what was leased
-- nobody knows whether the carrier has it, so it stays there.
WITH wanted (id, due) AS (VALUES :rows)
UPDATE live SET state = max(live.state, 1), due = wanted.due, others = iif(live.state = 1, NULL, live.others),
  doubtful = max(live.doubtful, live.state = 1)
FROM wanted WHERE live.id = wanted.id

-- name: free_leases
-- At start: whoever held a lease on this file is gone, so its end needn't be waited for.
UPDATE live SET due = ? WHERE state = 1 AND due > ?

-- name: free_event_leases
UPDATE event SET due = ?, leased = 0 WHERE leased AND due > ?

-- name: submitted
WITH news (id, due, message_id, sent) AS (VALUES :rows)
UPDATE live SET state = 2, due = news.due, message_id = news.message_id, sent = news.sent, status = '', reason = ''
FROM news WHERE live.id = news.id AND live.state < 2

-- name: postponed
WITH news (id, due, attempts, status, reason, carrier) AS (VALUES :rows)
UPDATE live SET state = 0, due = news.due, attempts = news.attempts, status = news.status, reason = news.reason,
  others = iif(news.status = 'SEND_ERR', NULL, live.others), doubtful = max(live.doubtful, news.status = 'SEND_ERR')
FROM news WHERE live.id = news.id AND live.state = 1 AND live.carrier = news.carrier

-- name: movable
-- The parts of SMS that are to move.
WITH wanted (sms) AS (VALUES :rows)
SELECT live.id, live.state, live.carrier, live.others IS NOT NULL FROM wanted
CROSS JOIN live ON live.id >= wanted.sms << 5 AND live.id < (wanted.sms + 1) << 5

-- name: moved
WITH news (id, carrier, others, due, status, reason) AS (VALUES :rows)
UPDATE live SET state = 0, carrier = news.carrier, others = news.others, due = news.due, attempts = 0,
  status = news.status, reason = news.reason
FROM news WHERE live.id = news.id

-- name: part_done
-- One part of several is through; it leaves the queue and waits for the others.
WITH news (id, sent, reason) AS (VALUES :rows)
UPDATE live SET state = 3, due = NULL, sent = coalesce(news.sent, live.sent), reason = news.reason
FROM news WHERE live.id = news.id

-- name: heard
WITH news (id, reason) AS (VALUES :rows)
UPDATE live SET heard = 1, reason = news.reason FROM news WHERE live.id = news.id

-- name: part_states
-- The parts, final or not, of the SMS to which segments belong.
WITH wanted (sms) AS (VALUES :rows)
SELECT live.id, live.state, live.sent FROM wanted
CROSS JOIN live ON live.id >= wanted.sms << 5 AND live.id < (wanted.sms + 1) << 5

-- name: by_message_id
WITH wanted (place, message_id, carrier) AS (VALUES :rows)
SELECT wanted.place, live.id, live.state FROM wanted
CROSS JOIN live INDEXED BY live_message_id ON live.message_id = wanted.message_id AND live.carrier = wanted.carrier

-- name: by_spelling
-- The same, with the phones that the segments went to.
WITH wanted (place, likeliness, message_id, carrier) AS (VALUES :rows)
SELECT wanted.place, wanted.likeliness, live.id, live.state, sms.dst FROM wanted
CROSS JOIN live INDEXED BY live_message_id ON live.message_id = wanted.message_id AND live.carrier = wanted.carrier
CROSS JOIN sms ON sms.id = live.id >> 5

-- name: awaiting_receipts
SELECT message_id FROM live WHERE carrier = ? AND state = 2 AND message_id IS NOT NULL ORDER BY id

-- name: to_cancel
-- The parts of SMS between two that are not final.
SELECT id, carrier, state, attempts, doubtful, status, reason, message_id, sent, due FROM live
WHERE id >= ? AND id < ? ORDER BY id

-- name: insert_late
INSERT INTO late (id, carrier, message_id, until, word) VALUES :rows

-- name: submitted_late
-- Of segments that the carrier took, those whose SMS was killed meanwhile.
WITH news (id, carrier, message_id, until, at) AS (VALUES :rows)
INSERT INTO late (id, carrier, message_id, until, word)
SELECT news.id, news.carrier, news.message_id, news.until, '' FROM news CROSS JOIN sms ON sms.id = news.id >> 5
LEFT JOIN late AS known ON known.id = news.id
WHERE sms.process_status = 'KILL' AND (known.until IS NULL OR known.until <= news.at)
ON CONFLICT (id) DO UPDATE SET carrier = excluded.carrier, message_id = excluded.message_id, until = excluded.until,
  word = '', recall_due = 0, recalls = 0

-- name: late_by_id
WITH wanted (place, likeliness, message_id, carrier, at) AS (VALUES :rows)
SELECT wanted.place, wanted.likeliness, late.id, late.word, sms.dst FROM wanted
CROSS JOIN late INDEXED BY late_message_id
ON late.message_id = wanted.message_id AND late.carrier = wanted.carrier AND late.until > wanted.at
CROSS JOIN sms ON sms.id = late.id >> 5

-- name: late_words
-- The parts of an SMS.
SELECT id, word FROM late WHERE id >= ? AND id < ?

-- name: late_word
UPDATE late SET word = ?, recall_due = NULL WHERE id = ?

-- name: tell_late
UPDATE sms SET reason = ? WHERE id = ?

-- name: forget_late
-- Those that have had their time, a few at each call.
DELETE FROM late WHERE id IN (SELECT id FROM late INDEXED BY late_until WHERE until <= ? ORDER BY until LIMIT ?)

-- name: delete_late
DELETE FROM late WHERE id >= ? AND id < ?

-- name: recalls_due
-- What a carrier is to be told to drop, of which no final receipt has come.
SELECT late.id, late.message_id, job.options FROM late INDEXED BY late_recall
CROSS JOIN sms ON sms.id = late.id >> 5 CROSS JOIN job ON job.id = sms.job
WHERE late.recall_due IS NOT NULL AND late.carrier = ? AND late.recall_due <= ? AND late.until > ? AND late.word = ''
ORDER BY late.recall_due, late.id LIMIT ?

-- name: lease_recalls
WITH wanted (id, due, most) AS (VALUES :rows)
UPDATE late SET recalls = late.recalls + 1, recall_due = iif(late.recalls + 1 < wanted.most, wanted.due, NULL)
FROM wanted WHERE late.id = wanted.id

-- name: settle_recalls
WITH told (message_id, carrier) AS (VALUES :rows)
UPDATE late SET recall_due = NULL WHERE id IN (
  SELECT known.id FROM told CROSS JOIN late AS known INDEXED BY late_message_id
  ON known.message_id = told.message_id AND known.carrier = told.carrier)

-- name: end_sms
WITH news (id, process_status, status, reason, sent, finished) AS (VALUES :rows)
UPDATE sms SET process_status = news.process_status, status = news.status, reason = news.reason, sent = news.sent,
  finished = news.finished
FROM news WHERE sms.id = news.id AND sms.process_status IS NULL

-- name: end_live
WITH ended (sms) AS (VALUES :rows)
DELETE FROM live WHERE id IN (
  SELECT part.id FROM ended CROSS JOIN live AS part ON part.id >= ended.sms << 5 AND part.id < (ended.sms + 1) << 5)

-- name: finish_jobs
-- Of the jobs to which ended SMS belong, those with nothing live are finished.
WITH ended (sms) AS (VALUES :rows)
UPDATE job SET finished =
  (SELECT max(sms.finished) FROM sms WHERE sms.id >= job.first_sms AND sms.id < job.first_sms + job.sms_count)
WHERE id IN (SELECT DISTINCT sms.job FROM ended CROSS JOIN sms ON sms.id = ended.sms) AND finished IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM live WHERE live.id >= job.first_sms << 5 AND live.id < (job.first_sms + job.sms_count) << 5)

-- name: park
INSERT INTO parked (carrier, message_id, at, content) VALUES :rows

-- name: parked
-- Receipts that came for message ids, not before an instant.
WITH wanted (message_id, carrier, at) AS (VALUES :rows)
SELECT parked.id, parked.content FROM wanted CROSS JOIN parked INDEXED BY parked_message_id
ON parked.message_id = wanted.message_id AND parked.carrier = wanted.carrier AND parked.at > wanted.at

-- name: parked_count
SELECT count(*) FROM parked

-- name: unpark
DELETE FROM parked WHERE id IN (VALUES :rows)

-- name: forget_parked
-- Those that have had their time, a few at each call.
DELETE FROM parked WHERE id IN (SELECT id FROM parked WHERE message_id <> '' ORDER BY id LIMIT ?) AND at <= ?

-- name: unpark_lookalike
DELETE FROM parked WHERE message_id = ? AND carrier = ? AND content = ?

-- name: lookalikes
-- What read like receipts, and was for nobody until an instant.
SELECT id, carrier, content FROM parked INDEXED BY parked_message_id WHERE message_id = ? AND at <= ? LIMIT ?

-- name: take_lookalike
DELETE FROM parked WHERE id = ?

-- name: account
SELECT id, content FROM account WHERE name = ?

-- name: accounts
SELECT id, content FROM account ORDER BY name

-- name: insert_account
INSERT INTO account (name, content) VALUES (?, ?) RETURNING id

-- name: update_account
UPDATE account SET name = ?, content = ? WHERE id = ?

-- name: old_jobs
-- Finished jobs received before an instant, oldest first.
SELECT id, first_sms, sms_count FROM job WHERE id < ? AND finished IS NOT NULL ORDER BY id LIMIT ?

-- name: jobs_with_texts
SELECT id FROM job INDEXED BY job_with_texts WHERE NOT blank AND id < ? AND finished IS NOT NULL ORDER BY id LIMIT ?

-- name: blank_messages
UPDATE message SET text = '', parts = NULL WHERE job IN (VALUES :rows)

-- name: blank_jobs
UPDATE job SET blank = 1 WHERE id IN (VALUES :rows)

-- name: delete_sms
DELETE FROM sms WHERE id >= ? AND id < ?

-- name: delete_messages
DELETE FROM message WHERE job IN (VALUES :rows)

-- name: delete_jobs
DELETE FROM job WHERE id IN (VALUES :rows)

-- name: live_count
-- How many SMS are not final, and how many of those have a part to be handed over. All parts leave `live` together.
SELECT count(*) FILTER (WHERE id & 31 = 0), count(*) FILTER (WHERE state < 2 AND (id & 31 = 0 OR NOT EXISTS (
  SELECT 1 FROM live AS earlier
  WHERE earlier.id >= live.id >> 5 << 5 AND earlier.id < live.id AND earlier.state < 2)))
FROM live

-- name: carriers
-- The carriers that have anything in the queue. The index leads from each to the next.
WITH RECURSIVE turn (carrier) AS (
  SELECT min(carrier) FROM live INDEXED BY live_due WHERE due IS NOT NULL
  UNION ALL
  SELECT (SELECT min(live.carrier) FROM live INDEXED BY live_due WHERE due IS NOT NULL AND live.carrier > turn.carrier)
  FROM turn WHERE turn.carrier IS NOT NULL
)
SELECT carrier FROM turn WHERE carrier IS NOT NULL

-- name: sms_at
-- How many SMS that are not final are with a carrier.
SELECT count(DISTINCT id >> 5) FROM live INDEXED BY live_due WHERE due IS NOT NULL AND carrier = ?

-- name: oldest_due
-- Since when something in a lane is waiting to be sent; NULL if nothing is. The index leads from account to account.
WITH RECURSIVE turn (account) AS (
  SELECT min(account) FROM live INDEXED BY live_due WHERE due IS NOT NULL AND carrier = ? AND lane = ?
  UNION ALL
  SELECT (SELECT min(live.account) FROM live INDEXED BY live_due
    WHERE due IS NOT NULL AND carrier = ? AND lane = ? AND live.account > turn.account)
  FROM turn WHERE turn.account IS NOT NULL
)
SELECT min((SELECT due FROM live INDEXED BY live_due
  WHERE carrier = ? AND lane = ? AND live.account = turn.account AND due <= ? AND state = 0 ORDER BY due LIMIT 1))
FROM turn

-- name: list_sent
-- SMS that a carrier has got, or may have, from which it is still to be gathered who wrote to which phones.
INSERT INTO ungathered (first_sms, sms_count, sent) VALUES :rows

-- name: ungathered_count
SELECT coalesce(sum(sms_count), 0) FROM ungathered

-- name: ungathered
SELECT id, sms_count FROM ungathered ORDER BY id LIMIT ?

-- name: gather_writers
-- Who wrote to which phones, from what is listed, in that order. Where nothing new is said, nothing is written.
INSERT INTO last_writer (phone, account, day)
SELECT CAST(substr(sms.dst, 2) AS INTEGER), job.account, ungathered.sent / 86400000
FROM ungathered CROSS JOIN sms ON sms.id >= ungathered.first_sms AND sms.id < ungathered.first_sms + ungathered.sms_count
CROSS JOIN job ON job.id = sms.job
WHERE ungathered.id <= ? AND sms.dst GLOB '+[0-9]*' AND substr(sms.dst, 2) NOT GLOB '*[^0-9]*'
  AND length(sms.dst) <= 16
ORDER BY ungathered.id, sms.id
ON CONFLICT (phone) DO UPDATE SET account = excluded.account, day = excluded.day
WHERE account != excluded.account OR day != excluded.day

-- name: forget_ungathered
DELETE FROM ungathered WHERE id <= ?

-- name: last_writer
SELECT account FROM last_writer WHERE phone = ?

-- name: last_writers_after
SELECT max(phone) FROM (SELECT phone FROM last_writer WHERE phone > ? ORDER BY phone LIMIT ?)

-- name: forget_last_writers
-- Of the phones between two, those that nobody has written to since a day.
DELETE FROM last_writer WHERE phone > ? AND phone <= ? AND day < ?

-- name: inbound_thread
-- The last parts of SMS that may be the same one.
SELECT id, sms, done, content FROM inbound_part INDEXED BY inbound_part_thread
WHERE src = ? AND dst = ? AND reference = ? AND parts = ? AND carrier = ? ORDER BY id DESC LIMIT ?

-- name: last_inbound_part
SELECT coalesce(max(id), 0) FROM inbound_part

-- name: insert_inbound_part
INSERT INTO inbound_part (id, carrier, src, dst, reference, parts, received, sms, done, content)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?)

-- name: parts_of_inbound
SELECT content FROM inbound_part WHERE sms = ? ORDER BY id

-- name: inbound_done
UPDATE inbound_part SET done = 1 WHERE sms = ?

-- name: inbound_overdue
-- SMS that wait for parts since before an instant.
SELECT DISTINCT sms FROM inbound_part INDEXED BY inbound_part_waiting WHERE NOT done AND received < ? ORDER BY sms

-- name: forget_inbound_parts
-- Those that need not be known any more, a few at each call.
DELETE FROM inbound_part WHERE id IN (
  SELECT id FROM inbound_part INDEXED BY inbound_part_done WHERE done AND received <= ? ORDER BY received LIMIT ?)

-- name: insert_inbound
INSERT INTO inbound (public_id, account, src, dst, text, received) VALUES (?, ?, ?, ?, ?, ?)

-- name: inbound
SELECT public_id, account, src, dst, text, received FROM inbound INDEXED BY inbound_by_account
WHERE account = ? AND received >= ? AND received < ? ORDER BY received DESC, id DESC LIMIT ? OFFSET ?

-- name: forget_inbound
DELETE FROM inbound WHERE id IN (SELECT id FROM inbound ORDER BY id LIMIT ?) AND received < ?

-- name: blocking_accounts
SELECT DISTINCT account FROM blocked

-- name: block
INSERT INTO blocked (account, dst, created) VALUES (?, ?, ?) ON CONFLICT DO NOTHING

-- name: unblock
DELETE FROM blocked WHERE account = ? AND dst = ?

-- name: blocked
SELECT dst, created FROM blocked WHERE account = ? AND dst = ?

-- name: blocklist
SELECT dst, created FROM blocked WHERE account = ? ORDER BY dst LIMIT ? OFFSET ?

-- name: blocked_among
-- Of numbers to which accounts write, those on their blocklists.
WITH wanted (account, dst) AS (VALUES :rows)
SELECT blocked.account, blocked.dst FROM wanted
CROSS JOIN blocked ON blocked.account = wanted.account AND blocked.dst = wanted.dst

-- name: blocked_segments
-- Of segments that are due, those that go to blocked numbers.
WITH wanted (id) AS (VALUES :rows)
SELECT live.id FROM wanted CROSS JOIN live ON live.id = wanted.id CROSS JOIN sms ON sms.id = live.id >> 5
CROSS JOIN blocked ON blocked.account = live.account AND blocked.dst = sms.dst

-- name: waiting_for
-- SMS of accounts to numbers that wait, by their first part.
WITH wanted (account, dst) AS (VALUES :rows)
SELECT live.id >> 5 FROM live CROSS JOIN sms ON sms.id = live.id >> 5
WHERE live.id & 31 = 0 AND live.state = 0 AND live.account IN (SELECT account FROM wanted)
  AND (live.account, sms.dst) IN (SELECT account, dst FROM wanted)

-- name: webhook_accounts
SELECT DISTINCT account FROM webhook

-- name: webhook_count
SELECT count(*) FROM webhook WHERE account = ?

-- name: insert_webhook
INSERT INTO webhook (public_id, account, types, token, content) VALUES (?, ?, ?, ?, ?)

-- name: update_webhook
UPDATE webhook SET types = ?, content = ? WHERE id = ?

-- name: webhooks
SELECT content FROM webhook INDEXED BY webhook_by_account WHERE account = ? ORDER BY id

-- name: webhook
SELECT id, account, content FROM webhook WHERE public_id = ?

-- name: webhook_with_token
SELECT id, account, content FROM webhook WHERE token = ?

-- name: delete_webhook
DELETE FROM webhook WHERE id = ?

-- name: delete_events_of
-- Those of a webhook, a few at each call.
DELETE FROM event WHERE id IN (SELECT id FROM event INDEXED BY event_subject WHERE webhook = ? LIMIT ?)

-- name: webhooks_asking
-- The webhooks of an account that ask for any type of a set.
SELECT id, types FROM webhook INDEXED BY webhook_by_account WHERE account = ? AND types & ?

-- name: insert_events
-- A stale one with the same subject is of an SMS from a phone that was forgotten, and has nothing to tell.
INSERT OR REPLACE INTO event (webhook, type, ref, at, state, due, attempts, reason) VALUES :rows

-- name: sms_events
-- For SMS that have just been given their end, while their parts are in `live` yet: those that had one before have none.
WITH ended (sms) AS (VALUES :rows)
INSERT INTO event (webhook, type, ref, at, state, due, attempts, reason)
SELECT webhook.id, 0, sms.id, sms.finished, 0, sms.finished, 0, ''
FROM ended CROSS JOIN live ON live.id = ended.sms << 5
CROSS JOIN webhook INDEXED BY webhook_by_account ON webhook.account = live.account AND webhook.types & 1
CROSS JOIN sms ON sms.id = ended.sms

-- name: job_events
-- For jobs that are about to be finished, as `finish_jobs` finds them; they wait for the events of their SMS.
WITH ended (sms) AS (VALUES :rows)
INSERT INTO event (webhook, type, ref, at, state, due, attempts, reason)
SELECT webhook, 1, job, at, waits, at, 0, '' FROM (
  SELECT webhook.id AS webhook, job.id AS job,
    (SELECT max(sms.finished) FROM sms WHERE sms.id >= job.first_sms AND sms.id < job.first_sms + job.sms_count) AS at,
    EXISTS (SELECT 1 FROM event INDEXED BY event_subject WHERE event.webhook = webhook.id AND event.type = 0
      AND event.ref >= job.first_sms AND event.ref < job.first_sms + job.sms_count AND event.state != 2) AS waits
  FROM (SELECT DISTINCT sms.job AS id FROM ended CROSS JOIN sms ON sms.id = ended.sms) AS touched
  CROSS JOIN job ON job.id = touched.id
  CROSS JOIN webhook INDEXED BY webhook_by_account ON webhook.account = job.account AND webhook.types & 2
  WHERE job.finished IS NULL
    AND NOT EXISTS (SELECT 1 FROM event INDEXED BY event_subject
      WHERE event.webhook = webhook.id AND event.type = 1 AND event.ref = job.id)
    AND NOT EXISTS (
      SELECT 1 FROM live WHERE live.id >= job.first_sms << 5 AND live.id < (job.first_sms + job.sms_count) << 5))

-- name: last_inbound
SELECT max(id) FROM inbound

-- name: webhooks_due
-- The webhooks from one on, and before another, that have an event due. The index leads from each to the next.
WITH RECURSIVE turn (webhook) AS (
  SELECT min(webhook) FROM event INDEXED BY event_due WHERE state = 0 AND webhook > ?
  UNION ALL
  SELECT (SELECT min(event.webhook) FROM event INDEXED BY event_due
    WHERE event.state = 0 AND event.webhook > turn.webhook)
  FROM turn WHERE turn.webhook <= ?
)
SELECT webhook.id, webhook.content FROM turn CROSS JOIN webhook ON webhook.id = turn.webhook
WHERE turn.webhook <= ? AND webhook.types AND (
  SELECT min(due) FROM event INDEXED BY event_due WHERE event.state = 0 AND event.webhook = turn.webhook) <= ?
LIMIT ?

-- name: events_due
SELECT id, type, ref, at, attempts FROM event INDEXED BY event_due
WHERE state = 0 AND webhook = ? AND due <= ? ORDER BY due, id LIMIT ?

-- name: lease_events
WITH wanted (id, due) AS (VALUES :rows)
UPDATE event SET due = wanted.due, leased = 1 FROM wanted WHERE event.id = wanted.id

-- name: sms_told
WITH wanted (id) AS (VALUES :rows)
SELECT sms.id, job.public_id, job.first_sms, sms.dst, sms.customer_ref, sms.process_status, sms.status, sms.reason,
  sms.sent, sms.finished
FROM wanted CROSS JOIN sms ON sms.id = wanted.id CROSS JOIN job ON job.id = sms.job

-- name: jobs_told
WITH wanted (id) AS (VALUES :rows)
SELECT job.id, public_id, first_sms, sms_count, options, finished FROM wanted CROSS JOIN job ON job.id = wanted.id

-- name: inbound_told
-- With the instant, as an id is given again once everything has been forgotten.
WITH wanted (id, received) AS (VALUES :rows)
SELECT inbound.id, public_id, account, src, dst, text, inbound.received FROM wanted
CROSS JOIN inbound ON inbound.id = wanted.id AND inbound.received = wanted.received

-- name: delete_events
DELETE FROM event WHERE id IN (VALUES :rows)

-- name: events_of_sms
-- Of events, those of SMS, by their webhooks.
WITH wanted (id) AS (VALUES :rows)
SELECT event.webhook, event.ref FROM wanted CROSS JOIN event ON event.id = wanted.id WHERE event.type = 0

-- name: release_jobs
-- Jobs' events that wait for no event of an SMS any more, once some have been settled.
WITH settled (webhook, sms) AS (VALUES :rows)
UPDATE event SET state = 0 WHERE id IN (
  SELECT held.id FROM settled CROSS JOIN sms ON sms.id = settled.sms CROSS JOIN job ON job.id = sms.job
  CROSS JOIN event AS held INDEXED BY event_subject
    ON held.webhook = settled.webhook AND held.type = 1 AND held.ref = job.id
  WHERE held.state = 1 AND NOT EXISTS (
    SELECT 1 FROM event AS other INDEXED BY event_subject WHERE other.webhook = settled.webhook AND other.type = 0
    AND other.ref >= job.first_sms AND other.ref < job.first_sms + job.sms_count AND other.state != 2))

-- name: postpone_events
WITH news (id, leased, due, attempts, reason) AS (VALUES :rows)
UPDATE event SET due = news.due, leased = 0, attempts = news.attempts, reason = news.reason
FROM news WHERE event.id = news.id AND event.state = 0 AND event.due = news.leased

-- name: give_up_events
WITH news (id, leased, due, attempts, reason) AS (VALUES :rows)
UPDATE event SET state = 2, due = news.due, leased = 0, attempts = news.attempts, reason = news.reason
FROM news WHERE event.id = news.id AND event.state = 0 AND event.due = news.leased

-- name: events_given_up
SELECT id, type, ref, at, attempts, reason, due FROM event INDEXED BY event_given_up
WHERE webhook = ? AND state = 2 ORDER BY id LIMIT ? OFFSET ?

-- name: replay_events
UPDATE event SET state = 0, due = ?, attempts = 0, reason = '' WHERE id IN (
  SELECT id FROM event INDEXED BY event_given_up WHERE webhook = ? AND state = 2 ORDER BY id LIMIT ?)

-- name: old_events
-- Those among the first that happened before an instant.
SELECT id, webhook, type, ref FROM (SELECT id, webhook, type, ref, at FROM event ORDER BY id LIMIT ?) WHERE at < ?

-- name: events_waiting
SELECT count(*) FROM event WHERE state < 2

-- name: spent
-- What an account's agents spent after a second, the oldest first.
SELECT second, parts FROM spent WHERE account = ? AND second > ? ORDER BY second

-- name: forget_spent
DELETE FROM spent WHERE account = ? AND second <= ?

-- name: spend
INSERT INTO spent (account, second, parts) VALUES (?, ?, ?)
ON CONFLICT (account, second) DO UPDATE SET parts = parts + excluded.parts

-- name: calls
-- How many calls an account made, second by second.
SELECT second, calls FROM call WHERE account = ? ORDER BY second

-- name: keep_calls
INSERT OR REPLACE INTO call (account, second, calls) VALUES :rows

-- name: forget_calls
DELETE FROM call WHERE account = ? AND second <= ?
