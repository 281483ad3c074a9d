-- Folds the next events, at most so many, into a projection that follows and has not come as far as
-- is wanted; returns how far it is then. Whoever reads such a projection calls it until that is far
-- enough. Where it is already, as mostly, nothing is locked or written. It runs with its owner's
-- rights, so that who may only read can do so, too; the row's lock keeps others waiting meanwhile.
DROP FUNCTION follow(text, bigint);
CREATE FUNCTION follow(projection text, wanted bigint, most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    done bigint;
    upto bigint;
BEGIN
    SELECT position INTO STRICT done FROM projections WHERE name = projection AND position IS NOT NULL;
    IF done >= wanted THEN
        RETURN done;
    END IF;
    -- Looked at again: who had the lock before has folded, too.
    SELECT position INTO STRICT done FROM projections WHERE name = projection FOR UPDATE;
    IF done >= wanted THEN
        RETURN done;
    END IF;
    SELECT least(done + most, size) INTO STRICT upto FROM head;
    IF upto > done THEN
        EXECUTE format('SELECT %I($1, $2)', 'fold_' || projection) USING done + 1, upto;
        UPDATE projections SET position = upto WHERE name = projection;
    END IF;
    RETURN greatest(done, upto);
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION follow SET search_path = %I, pg_temp', current_schema());
END $$;
