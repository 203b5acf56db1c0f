-- A record may say that its exchange used and cost what its only attempt did (sole in
-- record.proto). A program that does not know this would read nothing there, so it must
-- not open the database.
SELECT 1;
