-- Many exchanges in one row: count records, a Block of record.proto, in the order of
-- their ids, of which first is the smallest and last the largest; these lie less than
-- 10 s apart by the time that they carry. An exchange is either here or in exchanges.
CREATE TABLE blocks (
	n       INTEGER PRIMARY KEY,
	first   TEXT    NOT NULL,
	last    TEXT    NOT NULL,
	count   INTEGER NOT NULL,
	records BLOB    NOT NULL
);
CREATE INDEX blocks_first ON blocks (first, last);
CREATE INDEX blocks_last ON blocks (last, first);
