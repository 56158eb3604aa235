-- What agents sent for an account, second by second, of the last hour; seconds since 1970, rounded up.
CREATE TABLE spent (
  account       INTEGER NOT NULL,
  second        INTEGER NOT NULL,
  parts         INTEGER NOT NULL,
  PRIMARY KEY (account, second)
) WITHOUT ROWID;
