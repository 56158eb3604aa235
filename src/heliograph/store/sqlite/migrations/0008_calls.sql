-- Calls that count against an account's rate limit, second by second; seconds since 1970, rounded up.
CREATE TABLE call (
  account       INTEGER NOT NULL,
  second        INTEGER NOT NULL,
  calls         INTEGER NOT NULL,
  PRIMARY KEY (account, second)
) WITHOUT ROWID;
