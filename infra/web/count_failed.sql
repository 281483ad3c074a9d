-- How many jobs that failed or expired after a time are in that state still, at a time: those that entered
-- it, without those that left it again. Null unless the intervals are as they were known at the position.
SELECT CASE WHEN (SELECT position FROM projections WHERE name = 'intervals') = %(position)s THEN (
    SELECT count(*) FILTER (WHERE i.occurred_state IN (5, 9)) - count(*) FILTER (WHERE i.occurred_before IN (5, 9) AND (
        -- When it entered the state that it left.
        SELECT entered.occurred_from
        FROM events AS e JOIN events AS p ON p.name = e.name JOIN intervals AS entered ON entered.position = p.position
        WHERE e.position = i.position
          AND (entered.occurred_from, least(placed_after(p.version, p.schema, p.data), p.version), p.version)
              < (i.occurred_from, least(placed_after(e.version, e.schema, e.data), e.version), e.version)
        ORDER BY entered.occurred_from DESC, least(placed_after(p.version, p.schema, p.data), p.version) DESC, p.version DESC
        LIMIT 1
    ) > %(begin)s)
    FROM intervals AS i
    WHERE i.occurred_from > %(begin)s AND i.occurred_from <= %(time)s
) END
