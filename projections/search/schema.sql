-- search_blocks: of each block of 2^10 positions, the trigrams of what a search looks for in its
-- events, hashed into a bit map. Derived from events; follows them (see `projections.position`).
CREATE TABLE search_blocks (
    block bigint NOT NULL PRIMARY KEY,
    -- A power of two of bits, at least eight times as many as there are hashes, up to 2^14.
    signature bytea NOT NULL
);
-- Compression finds nothing in it, and a search reads all of them.
ALTER TABLE search_blocks ALTER COLUMN signature SET STORAGE PLAIN;
