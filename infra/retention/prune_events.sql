-- Takes the events of some jobs away, whose positions are said to be pruned: else this is refused.
DELETE FROM events WHERE name = ANY (%(names)s)
