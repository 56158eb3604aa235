-- When the carrier is to be told, again, to drop it; NULL once that is done with.
ALTER TABLE late ADD COLUMN recall_due INTEGER DEFAULT 0;
ALTER TABLE late ADD COLUMN recalls INTEGER NOT NULL DEFAULT 0;  -- how often it has been
CREATE INDEX late_recall ON late (carrier, recall_due) WHERE recall_due IS NOT NULL;
