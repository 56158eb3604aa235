-- To which carriers the SMS may move: JSON array of names; NULL for none.
ALTER TABLE live ADD COLUMN others BLOB;
