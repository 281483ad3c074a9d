-- Lets a projection that follows the events fold some more; see migrations/0006_follow_when_behind.sql.
SELECT follow(%s, %s, %s)
