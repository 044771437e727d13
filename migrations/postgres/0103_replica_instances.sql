-- readable_by: 0005
-- A database that lost commits (a standby without all of them, a recovery to a point in time) gives ids of servers out again. Without this
-- random name two servers could take the same row for their own, and believe that they hold the same machines. NULL: an older server.
ALTER TABLE replicas ADD COLUMN instance uuid;
