-- Records which positions are pruned (parallel arrays), and by which event.
INSERT INTO pruned (first, last, record)
SELECT first, last, %(record)s
FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS r (first, last)
