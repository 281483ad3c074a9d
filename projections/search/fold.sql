-- The fold of events into signatures: bit maps of hashed trigrams, one of each block of 2^10 positions.

-- The hash of a trigram: of three bytes, or of four where the first is a digit, as numbers of many
-- jobs have all trigrams of digits. Below 2^14.
CREATE OR REPLACE FUNCTION trigram_hash(bytes bytea, place integer) RETURNS integer
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    ((((get_byte(bytes, place)::bigint << 16) + (get_byte(bytes, place + 1) << 8) + get_byte(bytes, place + 2)
        + CASE WHEN get_byte(bytes, place) BETWEEN 48 AND 57 THEN get_byte(bytes, place + 3)::bigint << 24 ELSE 0 END
      ) * 2654435761 >> 17) & 16383)::integer;

-- Whether a signature has a hash. Its words are written with the highest byte first.
CREATE OR REPLACE FUNCTION has_trigram(signature bytea, hash integer) RETURNS boolean
IMMUTABLE PARALLEL SAFE LANGUAGE sql RETURN
    get_bit(signature, ((hash & (8 * octet_length(signature) - 1)) # 24)::bigint) = 1;

-- What a search looks for in the events at these positions: names of new jobs, messages and display
-- names, each once a block. What comes before the last slash of a name, as of many others, is a text of its own.
-- Each begins at an even place, and ends with two or three line breaks.
CREATE OR REPLACE FUNCTION search_texts(first bigint, last bigint) RETURNS TABLE (block bigint, texts bytea)
STABLE LANGUAGE sql AS $$
    SELECT s.block, convert_to(string_agg(DISTINCT s.text || repeat(chr(10), 2 + octet_length(s.text) % 2), ''), 'UTF8')
    FROM (
        SELECT (position - 1) >> 10 AS block, unnest(ARRAY[
            left(name, -length(split_part(name, '/', -1))), split_part(name, '/', -1)
        ]) AS text
        FROM events WHERE position BETWEEN first AND last AND schema > 0 AND version = 1
        UNION ALL
        SELECT (position - 1) >> 10, CASE
            WHEN type = 'Failed' THEN read_json(data) -> 'error' ->> 'message'
            WHEN type IN ('Cancelling', 'Cancelled', 'Expired') THEN read_json(data) ->> 'reason'
            ELSE read_json(data) -> 'spec' ->> 'displayName' END
        FROM events
        WHERE position BETWEEN first AND last AND schema > 0 AND CASE
            WHEN type IN ('Created', 'Updated', 'ConfigChanged') THEN position('"displayName":'::bytea IN data) > 0
            ELSE type IN ('Failed', 'Cancelling', 'Cancelled', 'Expired') END
    ) AS s
    WHERE s.text <> ''
    GROUP BY s.block
$$;

-- The hashes of every second trigram of texts: what a search looks for begins at an even place of a
-- text, or at an odd one. None begins between two texts.
CREATE OR REPLACE FUNCTION trigram_hashes(texts bytea) RETURNS TABLE (hash integer)
IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT trigram_hash(texts, place) FROM generate_series(0, octet_length(texts) - 4, 2) AS place
    WHERE get_byte(texts, place) <> 10
$$;

-- Signatures of the blocks that these positions are in, of the events up to the last of them.
CREATE OR REPLACE FUNCTION search_signatures(first bigint, last bigint) RETURNS TABLE (block bigint, signature bytea)
STABLE LANGUAGE sql AS $$
    WITH words AS MATERIALIZED (
        SELECT h.block, h.hash >> 5 AS word, bit_or(1 << (h.hash & 31)) AS mask
        FROM (
            SELECT t.block, g.hash
            FROM search_texts(((first - 1) >> 10 << 10) + 1, last) AS t, trigram_hashes(t.texts) AS g
            OFFSET 0  -- So that each hash is computed once.
        ) AS h
        GROUP BY 1, 2
    ),
    sizes AS (
        -- At least eight bits for each hash, up to 2^14.
        SELECT w.block, 1 << least(9, greatest(3, ceil(ln(8 * sum(bit_count(int4send(w.mask)))) / ln(2))::integer - 5)) AS size
        FROM words AS w GROUP BY w.block
    ),
    folded AS (
        SELECT w.block, w.word & (s.size - 1) AS word, bit_or(w.mask) AS mask
        FROM words AS w JOIN sizes AS s USING (block) GROUP BY 1, 2
    )
    SELECT p.block, string_agg(int4send(coalesce(f.mask, 0)), ''::bytea ORDER BY p.word)
    FROM (SELECT s.block, word FROM sizes AS s, generate_series(0, s.size - 1) AS word) AS p
    LEFT JOIN folded AS f ON f.block = p.block AND f.word = p.word
    GROUP BY p.block
$$;

-- Folds the events at these positions; a block that began before is made anew.
CREATE OR REPLACE FUNCTION fold_search(first bigint, last bigint) RETURNS void
LANGUAGE sql AS $$
    INSERT INTO search_blocks (block, signature)
    SELECT block, signature FROM search_signatures(first, last)
    ON CONFLICT (block) DO UPDATE SET signature = excluded.signature
$$;
