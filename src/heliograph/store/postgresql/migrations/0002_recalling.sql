-- compatible from: 1
-- When the carrier is to be told, again, to drop it; NULL once that is done with. What older nodes put there is told.
ALTER TABLE late ADD COLUMN recall_due bigint DEFAULT 0;
ALTER TABLE late ADD COLUMN recalls smallint NOT NULL DEFAULT 0;  -- how often it has been
CREATE INDEX late_recall ON late (carrier, recall_due) WHERE recall_due IS NOT NULL;
