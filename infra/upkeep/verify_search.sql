-- Blocks whose signature is not what their events make it. Where events of a block were pruned,
-- it may still have the hashes of their texts.
WITH searched AS MATERIALIZED (SELECT position FROM projections WHERE name = 'search'),
-- In stretches of 100 blocks, so that they are made in memory.
made AS MATERIALIZED (
    SELECT s.block, s.signature
    FROM searched AS p, generate_series(1, p.position, 102400) AS begin,
         search_signatures(begin, least(begin + 102399, p.position)) AS s
),
compared AS (
    SELECT block, b.signature AS kept, m.signature AS made, EXISTS (
        SELECT FROM pruned AS p WHERE int8range(p.first, p.last, '[]') && int8range((block << 10) + 1, (block + 1) << 10, '[]')
    ) AS is_pruned
    FROM search_blocks AS b FULL JOIN made AS m USING (block)
)
SELECT 'differs', (c.block << 10) + 1, '', 'the signature of its block is not what the events make it'
FROM compared AS c, searched AS p
WHERE CASE WHEN c.kept IS NOT NULL AND c.is_pruned THEN EXISTS (
    SELECT FROM search_texts((c.block << 10) + 1, least((c.block + 1) << 10, p.position)) AS t, trigram_hashes(t.texts) AS g
    WHERE NOT has_trigram(c.kept, g.hash)
) ELSE c.kept IS DISTINCT FROM c.made END
