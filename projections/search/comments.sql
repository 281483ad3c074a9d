-- Comments of the table and the functions of search.

COMMENT ON TABLE search_blocks IS 'Which blocks of 1,024 positions may have a text in the name, a message or the display name of a job: hashed trigrams of each.';
COMMENT ON COLUMN search_blocks.block IS 'The number of the block: its first position is 1,024 times this and 1.';
COMMENT ON COLUMN search_blocks.signature IS 'A bit for each hash of a trigram that the block''s texts have.';

COMMENT ON FUNCTION fold_search IS 'Folds the events at a range of positions into search_blocks.';
COMMENT ON FUNCTION has_trigram IS 'Whether a signature has the hash of a trigram.';
COMMENT ON FUNCTION search_signatures IS 'The signatures of the blocks of a range of positions.';
COMMENT ON FUNCTION search_texts IS 'The texts that a search looks for in the events at a range of positions, by block.';
COMMENT ON FUNCTION trigram_hash IS 'The hash of three bytes, or of four if the first is a digit: a number below 16,384.';
COMMENT ON FUNCTION trigram_hashes IS 'The hashes of every second trigram of texts.';
