-- Readers ask those parts of the log alone that can hold what is unread: who asks the whole table locks each part of it, and there may be
-- thousands. Parts are cut by size too, so that a log with a bound keeps to it however fast it grows; and the older a log is, the longer
-- its parts.

-- The parts that the functions fetch_NODE and head_NODE look at. Changed under an advisory lock of the node.
CREATE TABLE vpnd.reader (
  node integer PRIMARY KEY REFERENCES vpnd.node,
  parts name[] NOT NULL
);

-- Those of a node's log that were filled within a time, or are to be filled next; NULL: all.
CREATE FUNCTION vpnd.recent_parts(of_node integer, within interval) RETURNS name[] LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT coalesce(array_agg(p.name ORDER BY p.since), '{}') FROM vpnd.part p
  WHERE p.node = of_node AND (within IS NULL OR p.until > now() - within)
$$;

-- The columns of vpnd.packet, of `p`.
CREATE FUNCTION vpnd.packet_columns() RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT string_agg(format('p.%I', a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
  WHERE a.attrelid = 'vpnd.packet'::regclass AND a.attnum > 0 AND NOT a.attisdropped
$$;

-- A query for the packets `p` in some parts.
CREATE FUNCTION vpnd.packets_in(parts name[], condition text) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog AS $$
  SELECT coalesce(string_agg(format('SELECT %s FROM vpnd.%I p WHERE %s', vpnd.packet_columns(), name, condition), ' UNION ALL '),
                  format('SELECT %s FROM vpnd.packet p WHERE false', vpnd.packet_columns()))
  FROM unnest(parts) name
$$;

-- Makes what others read a node's packets with, when there is another part to look at or one less:
--   fetch_NODE: packets for `me` behind a number of a session, the oldest first. Nothing that is older than 10 s: it would be stale.
--   head_NODE: the number of the last one; 0 when it is older.
-- Their statements name the parts, so that they are planned once and lock no others. One part after the other, each by its index: numbers
-- of a session grow with time.
CREATE FUNCTION vpnd.make_readers(of_node integer) RETURNS void
-- Times in a form that means the same to whoever reads them.
LANGUAGE plpgsql SET search_path = pg_catalog SET datestyle = 'ISO' AS $$
DECLARE
  parts name[];
  fetches text;
  heads text;
BEGIN
  -- Longer than a packet is looked for.
  IF vpnd.recent_parts(of_node, '20 seconds') = (SELECT r.parts FROM vpnd.reader r WHERE r.node = of_node) THEN RETURN; END IF;
  PERFORM pg_advisory_xact_lock(1986031204, of_node);
  parts := vpnd.recent_parts(of_node, '20 seconds');
  SELECT
    string_agg(format($make$
        IF most > 0 AND now() >= %2$L THEN
          RETURN QUERY SELECT %3$s FROM vpnd.%1$I p
            WHERE p.session = of_session AND p.receiver = me AND p.seq > behind AND p.at > now() - interval '10 seconds'
            ORDER BY p.seq LIMIT most;
          GET DIAGNOSTICS found = ROW_COUNT;
          most := most - found;
        END IF;$make$, p.name, p.since, vpnd.packet_columns()), '' ORDER BY p.since),
    string_agg(format($make$
        IF last.seq IS NULL AND now() >= %2$L THEN
          SELECT p.seq, p.at INTO last.seq, last.at FROM vpnd.%1$I p
            WHERE p.session = of_session AND p.receiver = me ORDER BY p.seq DESC LIMIT 1;
        END IF;$make$, p.name, p.since), '' ORDER BY p.since DESC)
    INTO fetches, heads FROM vpnd.part p WHERE p.name = ANY (parts);
  EXECUTE format($make$
    CREATE OR REPLACE FUNCTION vpnd.fetch_%1$s(me integer, of_session bigint, behind bigint, most integer) RETURNS SETOF vpnd.packet
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_sort = off AS $body$
    DECLARE
      found bigint;
    BEGIN
      PERFORM vpnd.check_node(me);
      IF (SELECT s.transit FROM vpnd.session s WHERE s.id = of_session) THEN
        RETURN QUERY SELECT %2$s FROM vpnd.transit_%1$s p
          WHERE p.session = of_session AND p.receiver = me AND p.seq > behind AND p.at > now() - interval '10 seconds'
          ORDER BY p.seq LIMIT most;
      ELSE %3$s
      END IF;
    END $body$;
    CREATE OR REPLACE FUNCTION vpnd.head_%1$s(me integer, of_session bigint) RETURNS bigint
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_sort = off AS $body$
    DECLARE
      last vpnd.packet;
    BEGIN
      PERFORM vpnd.check_node(me);
      IF (SELECT s.transit FROM vpnd.session s WHERE s.id = of_session) THEN
        SELECT p.seq, p.at INTO last.seq, last.at FROM vpnd.transit_%1$s p
          WHERE p.session = of_session AND p.receiver = me ORDER BY p.seq DESC LIMIT 1;
      ELSE %4$s
      END IF;
      RETURN CASE WHEN last.at > now() - interval '10 seconds' THEN last.seq ELSE 0 END;
    END $body$;
    -- They check who asks; and only members may use the schema.
    GRANT EXECUTE ON FUNCTION vpnd.fetch_%1$s, vpnd.head_%1$s TO PUBLIC;
    $make$, of_node, vpnd.packet_columns(), coalesce(fetches, 'NULL;'), coalesce(heads, 'NULL;'));
  INSERT INTO vpnd.reader (node, parts) VALUES (of_node, parts) ON CONFLICT (node) DO UPDATE SET parts = EXCLUDED.parts;
END
$$;

CREATE FUNCTION vpnd.make_part(of_node integer, since timestamptz, until timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  part text := format('packet_%s_%s', of_node, to_char(since AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS'));
BEGIN
  EXECUTE format('CREATE TABLE vpnd.%I (LIKE vpnd.packet INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)', part);
  -- Rows of up to a page stay in one piece.
  EXECUTE format('ALTER TABLE vpnd.%I SET (toast_tuple_target = 8160)', part);
  EXECUTE format('ALTER TABLE vpnd.packet_%s ATTACH PARTITION vpnd.%I FOR VALUES FROM (%L) TO (%L)', of_node, part, since, until);
  INSERT INTO vpnd.part (name, node, since, until) VALUES (part, of_node, since, until);
END
$$;

-- The packets in it are gone for good. @throws lock_not_available, where a lock_timeout is set
CREATE FUNCTION vpnd.drop_part(part name) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  of_node integer;
BEGIN
  DELETE FROM vpnd.part p WHERE p.name = part RETURNING p.node INTO STRICT of_node;
  IF part = ANY ((SELECT r.parts FROM vpnd.reader r WHERE r.node = of_node)::name[]) THEN
    PERFORM vpnd.make_readers(of_node);
  END IF;
  EXECUTE format('DROP TABLE vpnd.%I', part);
END
$$;

-- Makes the part of a node's log for now and the one after it, if they are missing.
CREATE OR REPLACE FUNCTION vpnd.make_room(me integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  step interval;
  seconds double precision;
  since timestamptz;
BEGIN
  PERFORM vpnd.check_node(me);
  IF (SELECT count(*) < 2 FROM vpnd.part p WHERE p.node = me AND p.until > now()) THEN
    PERFORM pg_advisory_xact_lock(1986031204, me);
    SELECT w.period INTO STRICT step FROM vpnd.node n JOIN vpnd.network w ON w.id = n.network WHERE n.id = me;
    seconds := extract(epoch FROM step);
    WHILE (SELECT count(*) < 2 FROM vpnd.part p WHERE p.node = me AND p.until > now()) LOOP
      -- Behind whatever there is: periods change.
      since := greatest(to_timestamp(floor(extract(epoch FROM now()) / seconds) * seconds),
                        (SELECT max(p.until) FROM vpnd.part p WHERE p.node = me));
      PERFORM vpnd.make_part(me, since, since + step);
    END LOOP;
  END IF;
  PERFORM vpnd.make_readers(me);
END
$$;

-- How large a part of a node's log may become, bytes; NULL: its network has no bound. All parts that are filled at a time take a twelfth
-- of the bound.
CREATE FUNCTION vpnd.share(me integer) RETURNS bigint LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM vpnd.check_node(me);
  RETURN (
    SELECT greatest(1 << 20, w.max_bytes / 12 / greatest(1, (
      SELECT count(*) FROM vpnd.node n WHERE n.network = w.id AND EXISTS (
        SELECT FROM vpnd.session s WHERE s.node = n.id AND s.ended IS NULL AND s.seen > now() - interval '20 seconds'))))
    FROM vpnd.node mine JOIN vpnd.network w ON w.id = mine.network WHERE mine.id = me AND w.max_bytes IS NOT NULL);
END
$$;

-- Ends the part that is filled now, if it has become too large, and begins another one.
CREATE FUNCTION vpnd.cut_part(me integer) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
DECLARE
  one vpnd.part;
  cut timestamptz;
  share bigint := vpnd.share(me);
BEGIN
  IF share IS NULL THEN RETURN false; END IF;
  PERFORM pg_advisory_xact_lock(1986031204, me);
  SELECT p.* INTO one FROM vpnd.part p WHERE p.node = me AND p.since <= now() AND p.until > now();
  IF one.name IS NULL OR pg_total_relation_size(format('vpnd.%I', one.name)::regclass) < share THEN RETURN false; END IF;
  -- What is being written is finished, and nothing begins until this is done.
  EXECUTE format('LOCK TABLE ONLY vpnd.packet_%s IN ACCESS EXCLUSIVE MODE', me);
  cut := clock_timestamp();
  IF cut >= one.until THEN RETURN false; END IF;
  EXECUTE format('ALTER TABLE vpnd.packet_%s DETACH PARTITION vpnd.%I', me, one.name);
  EXECUTE format('ALTER TABLE vpnd.packet_%s ATTACH PARTITION vpnd.%I FOR VALUES FROM (%L) TO (%L)', me, one.name, one.since, cut);
  UPDATE vpnd.part p SET until = cut WHERE p.name = one.name;
  PERFORM vpnd.make_part(me, cut, one.until);
  PERFORM vpnd.make_readers(me);
  RETURN true;
EXCEPTION WHEN lock_not_available THEN
  -- Somebody reads for long: the next time.
  RETURN false;
END
$$;

-- As before; parts that were just filled stay for those who are about to read them.
CREATE OR REPLACE FUNCTION vpnd.tidy(me integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
DECLARE
  one record;
  is_empty boolean;
  rule vpnd.network;
  total bigint := 0;
  dropped integer := 0;
BEGIN
  PERFORM vpnd.check_node(me);
  SELECT w.* INTO STRICT rule FROM vpnd.node n JOIN vpnd.network w ON w.id = n.network WHERE n.id = me;
  -- One at a time, whichever node it is.
  IF NOT pg_try_advisory_xact_lock(1986031205, rule.id) THEN RETURN 0; END IF;
  FOR one IN SELECT p.* FROM vpnd.part p JOIN vpnd.node n ON n.id = p.node WHERE n.network = rule.id ORDER BY p.until DESC LOOP
    total := total + pg_total_relation_size(format('vpnd.%I', one.name)::regclass);
    CONTINUE WHEN one.until > now() - interval '1 second';
    BEGIN
      EXECUTE format('SELECT NOT EXISTS (SELECT FROM vpnd.%I)', one.name) INTO is_empty;
      IF is_empty OR one.until < now() - rule.retention OR total > rule.max_bytes THEN
        PERFORM vpnd.drop_part(one.name);
        dropped := dropped + 1;
      ELSIF NOT one.closed THEN
        EXECUTE format('CREATE INDEX ON vpnd.%I (source, source_port)', one.name);
        EXECUTE format('CREATE INDEX ON vpnd.%I (destination, destination_port)', one.name);
        EXECUTE format('CREATE INDEX ON vpnd.%I USING brin (at)', one.name);
        UPDATE vpnd.part p SET closed = true WHERE p.name = one.name;
      END IF;
    EXCEPTION WHEN lock_not_available THEN
      -- Somebody reads it for long: the next time.
      NULL;
    END;
  END LOOP;
  RETURN dropped;
END
$$;

-- How long the next parts are filled: where there is a bound, so that none grows beyond its share; and so that there are few of them.
CREATE OR REPLACE FUNCTION vpnd.fit_period(me integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  rule vpnd.network;
  share bigint := vpnd.share(me);
  largest bigint;
  parts bigint;
BEGIN
  SELECT w.* INTO STRICT rule FROM vpnd.node n JOIN vpnd.network w ON w.id = n.network WHERE n.id = me;
  SELECT max(pg_total_relation_size(format('vpnd.%I', p.name)::regclass)) INTO largest
    FROM vpnd.part p JOIN vpnd.node n ON n.id = p.node
    WHERE n.network = rule.id AND p.until > now() - rule.period;
  SELECT count(*) INTO parts FROM vpnd.part p WHERE p.node = me;
  UPDATE vpnd.network w SET period = CASE
      WHEN largest >= share THEN greatest(interval '1 minute', rule.period / 2)
      -- Of an old log: fewer and fewer are added.
      WHEN parts > 48 THEN greatest(rule.period, least(rule.period * 2, interval '1 day', rule.retention / 12))
      WHEN largest < share / 4 THEN greatest(rule.period, least(rule.period * 2, interval '1 hour', rule.retention / 12))
      ELSE rule.period
    END
    WHERE w.id = rule.id;
END
$$;

-- As before, dropping them with care for readers.
CREATE OR REPLACE FUNCTION vpnd.prune(of_network text, before timestamptz, only_tell boolean)
RETURNS TABLE (node text, since timestamptz, until timestamptz, bytes bigint, dropped boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
DECLARE
  one record;
BEGIN
  IF NOT vpnd.is_owner() THEN
    RAISE insufficient_privilege USING MESSAGE = format('role %s does not own the schema vpnd', session_user);
  END IF;
  FOR one IN
    SELECT p.*, coalesce(nullif(n.name, ''), 'node ' || n.id) AS node_name
    FROM vpnd.part p JOIN vpnd.node n ON n.id = p.node JOIN vpnd.network w ON w.id = n.network
    WHERE w.name = of_network AND p.until <= least(before, now()) ORDER BY p.since, p.name
  LOOP
    node := one.node_name; since := one.since; until := one.until; dropped := NOT only_tell;
    bytes := pg_total_relation_size(format('vpnd.%I', one.name)::regclass);
    IF NOT only_tell THEN
      BEGIN
        PERFORM vpnd.drop_part(one.name);
      EXCEPTION WHEN lock_not_available THEN
        dropped := false;
      END;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;

DROP FUNCTION vpnd.fetch(integer, integer, bigint, bigint, integer);

-- As before, from the parts that can hold something.
CREATE OR REPLACE FUNCTION vpnd.others(me integer)
RETURNS TABLE (node integer, address text, name text, session bigint, age double precision, over boolean, durable boolean, head bigint,
               salt bytea, key_check bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM vpnd.check_node(me);
  FOR node, address, name, session, age, over, durable, salt, key_check IN
    SELECT n.id, host(n.address), n.name, s.id, extract(epoch FROM now() - s.seen)::double precision, s.ended IS NOT NULL, s.durable,
      s.salt, s.key_check
    FROM vpnd.node mine
    JOIN vpnd.node n ON n.network = mine.network AND n.id <> me
    LEFT JOIN LATERAL (
      SELECT * FROM vpnd.session s WHERE s.node = n.id AND (s.ended IS NULL OR s.ended > now() - interval '1 minute')
      ORDER BY s.id DESC LIMIT 4
    ) s ON true
    WHERE mine.id = me
    ORDER BY n.id, s.id
  LOOP
    head := 0;
    IF session IS NOT NULL THEN
      EXECUTE format('SELECT vpnd.head_%s($1, $2)', node) INTO head USING me, session;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION vpnd.count_stale(me integer, of_sender integer, of_session bigint, behind bigint, before bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  condition text := 'p.session = $1 AND p.receiver = $2 AND p.seq > $3 AND p.seq < $4 AND p.kind <> 3';
  source text;
  stale bigint;
BEGIN
  PERFORM vpnd.check_node(me);
  IF (SELECT s.transit FROM vpnd.session s WHERE s.id = of_session) THEN
    source := format('SELECT FROM vpnd.transit_%s p WHERE %s', of_sender, condition);
  ELSE
    source := vpnd.packets_in(vpnd.recent_parts(of_sender, '1 hour'), condition);
  END IF;
  EXECUTE format('SELECT count(*) FROM (%s) p', source) INTO stale USING of_session, me, behind, before;
  RETURN stale;
END
$$;

DROP FUNCTION vpnd.heads(text);
-- The last number of each stream of packets (of a session, for one receiver) that may still grow.
-- `lately`: of those alone that have grown within the last minute.
CREATE FUNCTION vpnd.heads(of_network text, lately boolean)
RETURNS TABLE (sender integer, session bigint, receiver integer, head bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  -- Apart, so that each is an index's last entry.
  of_stream text := 'p.session = $1 AND p.receiver = $2';
  unknown text := 'p.session = $1 AND p.receiver IS NULL';
  parts name[];
BEGIN
  FOR sender, session, receiver IN
    SELECT f.id, s.id, t.id
    FROM vpnd.network w
    JOIN vpnd.node f ON f.network = w.id
    JOIN LATERAL (
      SELECT o.id FROM vpnd.session o WHERE o.node = f.id AND (o.ended IS NULL OR o.ended > now() - interval '1 minute')
      ORDER BY o.id DESC LIMIT 4
    ) s ON true
    LEFT JOIN LATERAL (
      SELECT n.id, n.role FROM vpnd.node n WHERE n.network = w.id AND n.id <> f.id
      UNION ALL SELECT NULL, NULL
    ) t ON true
    WHERE w.name = of_network
      AND (f.role = session_user OR t.role = session_user OR vpnd.is_owner() OR w.id = ANY (vpnd.audited()))
  LOOP
    parts := vpnd.recent_parts(sender, CASE WHEN lately THEN interval '1 minute' END);
    EXECUTE format('SELECT max(p.seq) FROM (%s) p',
                   vpnd.packets_in(parts, CASE WHEN receiver IS NULL THEN unknown ELSE of_stream END))
      INTO head USING session, receiver;
    CONTINUE WHEN lately AND head IS NULL;
    RETURN NEXT;
  END LOOP;
END
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vpnd FROM PUBLIC;
SELECT vpnd.make_readers(n.id) FROM vpnd.node n;
SELECT vpnd.admit(r.role) FROM (SELECT DISTINCT role FROM vpnd.node UNION SELECT role FROM vpnd.auditor) r;
