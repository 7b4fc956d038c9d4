-- The tables of format 1. The at sign stands for the schema, quoted.
CREATE TABLE @.meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), format integer NOT NULL);
CREATE TABLE @.namespaces (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text COLLATE "C" NOT NULL, instance text COLLATE "C" NOT NULL, namespace text COLLATE "C" NOT NULL,
    UNIQUE (job, instance, namespace));
CREATE TABLE @.stores (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace integer NOT NULL REFERENCES @.namespaces ON DELETE CASCADE,
    store text COLLATE "C" NOT NULL, meaning text NOT NULL, columns text NOT NULL,
    UNIQUE (namespace, store));
CREATE SEQUENCE @.parts AS integer;
CREATE TABLE @.progress (
    store integer NOT NULL REFERENCES @.stores ON DELETE CASCADE,
    source text COLLATE "C" NOT NULL, partition bigint NOT NULL,
    part integer NOT NULL UNIQUE DEFAULT nextval('#parts'),
    epoch numeric(20,0) NOT NULL DEFAULT 0, next numeric(20,0) NOT NULL DEFAULT 0,
    batch bigint NOT NULL DEFAULT 0, retained_from bigint NOT NULL DEFAULT 0,
    cuts json NOT NULL DEFAULT '[]', holes json NOT NULL DEFAULT '[]',
    topic_id text NOT NULL DEFAULT '', leader_epoch integer NOT NULL DEFAULT -1, last_time bigint,
    cut_spec text NOT NULL DEFAULT '', fingerprint text NOT NULL DEFAULT '',
    released boolean NOT NULL DEFAULT false, running bigint,
    PRIMARY KEY (store, source, partition)) WITH (fillfactor = 50);
CREATE TABLE @.garbage (store integer NOT NULL REFERENCES @.stores ON DELETE CASCADE, part integer NOT NULL, below bigint);
CREATE TABLE @.sinks (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text COLLATE "C" NOT NULL, instance text COLLATE "C" NOT NULL, sink text COLLATE "C" NOT NULL, owner text NOT NULL,
    UNIQUE (job, instance, sink));
CREATE TABLE @.marks (
    sink integer NOT NULL REFERENCES @.sinks ON DELETE CASCADE,
    source text COLLATE "C" NOT NULL, partition bigint NOT NULL,
    epoch numeric(20,0) NOT NULL, mark numeric(20,0) NOT NULL, start numeric(20,0) NOT NULL, holes json NOT NULL,
    PRIMARY KEY (sink, source, partition)) WITH (fillfactor = 50);
CREATE TABLE @.meanings (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sink integer NOT NULL REFERENCES @.sinks ON DELETE CASCADE, meaning text NOT NULL);
CREATE TABLE @.kits (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE, meaning text NOT NULL, columns text NOT NULL);
CREATE TABLE @.generations (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    job text COLLATE "C" NOT NULL, instance text COLLATE "C" NOT NULL, manifest bigint NOT NULL,
    line text NOT NULL, fingerprint text NOT NULL, namespace text, covered_until text NOT NULL, created_at timestamptz,
    holes json NOT NULL, event_time text, not_repeatable json NOT NULL,
    UNIQUE (job, instance, manifest));
CREATE TABLE @.frontiers (
    generation integer NOT NULL REFERENCES @.generations ON DELETE CASCADE,
    source text COLLATE "C" NOT NULL, partition bigint NOT NULL,
    batch bigint NOT NULL, cut numeric(20,0) NOT NULL, batch_before bigint NOT NULL,
    PRIMARY KEY (generation, source, partition));
CREATE TABLE @.offline (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation integer NOT NULL REFERENCES @.generations ON DELETE CASCADE,
    store text COLLATE "C" NOT NULL, meaning text NOT NULL, columns text NOT NULL, keys bigint NOT NULL,
    UNIQUE (generation, store));
CREATE TABLE @.current (
    job text COLLATE "C" NOT NULL, instance text COLLATE "C" NOT NULL, generation integer NOT NULL REFERENCES @.generations,
    PRIMARY KEY (job, instance));
CREATE TABLE @.views (
    name text COLLATE "C" PRIMARY KEY, job text COLLATE "C" NOT NULL, instance text COLLATE "C" NOT NULL, store text COLLATE "C" NOT NULL,
    columns text NOT NULL, UNIQUE (job, instance, store));
CREATE FUNCTION @.seen(of_offline integer) RETURNS boolean LANGUAGE plpgsql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $seen$
BEGIN
    -- The views are of now, the rows are of when the transaction began.
    IF NOT EXISTS (SELECT FROM @.offline WHERE id = of_offline) THEN
        RAISE EXCEPTION 'this transaction began before the generation that is shown was published: begin it again'
            USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN true;
END
$seen$;
CREATE FUNCTION @.fits(of_generation integer, of_store integer) RETURNS boolean LANGUAGE plpgsql STABLE
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $fits$
DECLARE
    g record;
    r record;
    realtime_cut numeric;
BEGIN
    SELECT * INTO g FROM @.generations WHERE id = of_generation;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this transaction began before the generation that is shown was published: begin it again'
            USING ERRCODE = 'serialization_failure';
    END IF;
    IF json_array_length(g.holes) > 0 THEN
        RAISE EXCEPTION 'manifest % of job %: records are missing: %', g.manifest, g.job, g.holes USING ERRCODE = 'data_exception';
    END IF;
    FOR r IN
        SELECT source, partition, COALESCE(f.batch, -9223372036854775808) AS batch, COALESCE(f.cut, 0) AS cut,
            p.part, p.next, p.retained_from, p.cuts, p.holes, p.released
        FROM (SELECT * FROM @.frontiers WHERE generation = of_generation) f
        FULL JOIN (SELECT * FROM @.progress WHERE store = of_store) p USING (source, partition)
    LOOP
        CONTINUE WHEN r.part IS NULL;
        IF r.released THEN
            RAISE EXCEPTION 'partition %/%: another process keeps its state elsewhere', r.source, r.partition
                USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        IF r.retained_from > r.batch THEN
            RAISE EXCEPTION 'partition %/%: cells of batches % to % are dropped, and manifest % does not cover them: publish the current manifest',
                r.source, r.partition, r.batch, r.retained_from, g.manifest USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        SELECT (c ->> 1)::numeric INTO realtime_cut FROM json_array_elements(r.cuts) c
            WHERE (c ->> 0)::bigint >= r.batch ORDER BY (c ->> 0)::bigint LIMIT 1;
        IF COALESCE(realtime_cut <> r.cut, r.next > r.cut) THEN
            RAISE EXCEPTION 'partition %/%: the layers divide the log at different offsets: offline at %, live at % (read up to %)',
                r.source, r.partition, r.cut, realtime_cut, r.next USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        IF EXISTS (SELECT FROM json_array_elements(r.holes) h WHERE (h ->> 'to')::numeric > r.cut) THEN
            RAISE EXCEPTION 'partition %/%: records are missing: %', r.source, r.partition, r.holes USING ERRCODE = 'data_exception';
        END IF;
    END LOOP;
    RETURN true;
END
$fits$;
INSERT INTO @.meta (format) VALUES (1);
