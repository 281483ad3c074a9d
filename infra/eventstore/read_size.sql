-- How many events there are: the last position.
SELECT size FROM head
