-- Lets a projection that follows the events fold some more; see migrations/0004_following.sql.
SELECT follow(%s, %s)
