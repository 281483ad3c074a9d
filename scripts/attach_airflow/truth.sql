-- Records each transition in Airflow's tables, by triggers: an attached ledger must have the same.
CREATE TABLE truth (id bigserial, key text, op text, old text, new text);
CREATE FUNCTION key_of(r jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws('/', r ->> 'dag_id', r ->> 'run_id', r ->> 'task_id', r ->> 'map_index')
$$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
    after jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO truth (key, op) VALUES (key_of(before), TG_OP);
        RETURN OLD;
    END IF;
    IF before IS NOT NULL AND key_of(before) <> key_of(after) THEN
        INSERT INTO truth (key, op) VALUES (key_of(before), 'MAPPED');
    END IF;
    IF before ->> 'state' IS DISTINCT FROM after ->> 'state' THEN
        INSERT INTO truth (key, op, old, new)
        VALUES (key_of(after), TG_OP, before ->> 'state', after ->> 'state');
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON dag_run FOR EACH ROW EXECUTE FUNCTION note();
CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON task_instance FOR EACH ROW EXECUTE FUNCTION note();
