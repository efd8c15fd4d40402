-- Which payloads are kept (vpnd.network.log), and payloads under the network's key (vpnd.session.salt); docs/postgres.md.
-- Where not all of them are kept, packets travel in vpnd.transit, which is emptied again and again and is in no write-ahead log. What is
-- kept of them is written into vpnd.packet by the same transaction.

ALTER TABLE vpnd.network ADD log text NOT NULL DEFAULT 'full' CHECK (log ~ '^(full|headers|sample=[1-9][0-9]{0,5})$');

ALTER TABLE vpnd.session
  -- NULL: payloads are not encrypted. Otherwise what their key is made with, and what that key is known by.
  ADD salt bytea CHECK (octet_length(salt) = 32),
  ADD key_check bytea CHECK (octet_length(key_check) = 8),
  -- Its packets are read from vpnd.transit.
  ADD transit boolean NOT NULL DEFAULT false,
  ADD CONSTRAINT session_key CHECK ((salt IS NULL) = (key_check IS NULL));

-- NULL: not kept.
ALTER TABLE vpnd.packet ALTER payload DROP NOT NULL;

CREATE TABLE vpnd.transit (
  LIKE vpnd.packet INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE,
  -- Of three; the one that is filled next is empty by then.
  slot smallint NOT NULL
) PARTITION BY LIST (sender);
CREATE INDEX transit_reader ON vpnd.transit (session, receiver, seq);

-- Makes the three parts of vpnd.transit of a node.
CREATE FUNCTION vpnd.make_transit(me integer, for_role name) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  part text;
BEGIN
  EXECUTE format('CREATE TABLE vpnd.transit_%s (LIKE vpnd.transit INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)
                  PARTITION BY LIST (slot)', me);
  FOR slot IN 0..2 LOOP
    part := format('transit_%s_%s', me, slot);
    EXECUTE format('CREATE UNLOGGED TABLE vpnd.%I (LIKE vpnd.transit INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)', part);
    EXECUTE format('ALTER TABLE vpnd.%I ALTER slot SET DEFAULT %s', part, slot);
    EXECUTE format('ALTER TABLE vpnd.%I SET (toast_tuple_target = 8160, autovacuum_enabled = false)', part);
    EXECUTE format('ALTER TABLE vpnd.transit_%s ATTACH PARTITION vpnd.%I FOR VALUES IN (%s)', me, part, slot);
    IF NOT pg_has_role(for_role, current_user, 'MEMBER') THEN
      EXECUTE format('GRANT INSERT ON vpnd.%I TO %I', part, for_role);
    END IF;
  END LOOP;
  EXECUTE format('ALTER TABLE vpnd.transit ATTACH PARTITION vpnd.transit_%s FOR VALUES IN (%s)', me, me);
END
$$;

SELECT vpnd.make_transit(n.id, n.role) FROM vpnd.node n;

-- Not for members.
CREATE FUNCTION vpnd.empty_transit(of_node integer, of_slot smallint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog SET lock_timeout = '200ms' AS $$
DECLARE
  part text := format('transit_%s_%s', of_node, of_slot);
  is_empty boolean;
BEGIN
  EXECUTE format('SELECT NOT EXISTS (SELECT FROM vpnd.%I)', part) INTO is_empty;
  IF NOT is_empty THEN EXECUTE format('TRUNCATE vpnd.%I', part); END IF;
EXCEPTION WHEN lock_not_available THEN
  -- Somebody reads it for long: the next time.
  NULL;
END
$$;

-- For a node that writes into another one of the three by now.
CREATE FUNCTION vpnd.clear_transit(me integer, of_slot smallint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM vpnd.check_node(me);
  PERFORM vpnd.empty_transit(me, of_slot);
END
$$;

-- What a member may do besides writing its own part of the log. All views here are for members: each shows what is its reader's.
CREATE FUNCTION vpnd.admit(as_role name) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
  of_members name;
BEGIN
  IF pg_has_role(as_role, current_user, 'MEMBER') THEN RETURN; END IF;
  EXECUTE format('GRANT USAGE ON SCHEMA vpnd TO %I', as_role);
  EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vpnd TO %I', as_role);
  EXECUTE format('GRANT SELECT ON vpnd.schema_version TO %I', as_role);
  FOR of_members IN SELECT v.viewname FROM pg_views v WHERE v.schemaname = 'vpnd' LOOP
    EXECUTE format('GRANT SELECT ON vpnd.%I TO %I', of_members, as_role);
  END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION vpnd.add_member(of_network text, as_role name, with_address inet, with_name text DEFAULT '') RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  network_id integer;
  me integer;
BEGIN
  IF NOT vpnd.is_owner() THEN
    RAISE insufficient_privilege USING MESSAGE = format('role %s does not own the schema vpnd', session_user);
  END IF;
  INSERT INTO vpnd.network (name) VALUES (of_network) ON CONFLICT (name) DO NOTHING;
  SELECT id INTO STRICT network_id FROM vpnd.network WHERE name = of_network;
  INSERT INTO vpnd.node (network, address, name, role) VALUES (network_id, host(with_address)::inet, with_name, as_role)
    RETURNING id INTO me;
  -- Made apart and attached: that way nobody who reads the log is waited for.
  EXECUTE format('CREATE TABLE vpnd.packet_%s (LIKE vpnd.packet INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)
                  PARTITION BY RANGE (at)', me);
  EXECUTE format('ALTER TABLE vpnd.packet ATTACH PARTITION vpnd.packet_%s FOR VALUES IN (%s)', me, me);
  PERFORM vpnd.make_transit(me, as_role);
  IF NOT pg_has_role(as_role, current_user, 'MEMBER') THEN
    EXECUTE format('GRANT INSERT ON vpnd.packet_%s TO %I', me, as_role);
  END IF;
  PERFORM vpnd.admit(as_role);
  RETURN me;
END
$$;

DROP FUNCTION vpnd.open_session(text, inet, text, bytea, boolean);
-- As before; `with_salt` and `with_check` are of the key of the session's payloads, NULL without one; `log` is what is kept.
CREATE FUNCTION vpnd.open_session(of_network text, with_address inet, with_name text, with_key bytea, is_durable boolean,
                                  with_salt bytea, with_check bytea)
RETURNS TABLE (network integer, node integer, session bigint, holder text, log text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found vpnd.node;
  kept text;
  wanted text := format('address %s of network %s', host(with_address), of_network);
BEGIN
  PERFORM pg_advisory_xact_lock(1986031204, 0);
  SELECT n.* INTO found FROM vpnd.node n JOIN vpnd.network w ON w.id = n.network
    WHERE w.name = of_network AND n.address = host(with_address)::inet;
  IF found.id IS NULL THEN
    IF NOT vpnd.is_owner() THEN
      RAISE insufficient_privilege USING MESSAGE = format('role %s has no %s', session_user, wanted);
    END IF;
    PERFORM vpnd.add_member(of_network, session_user, with_address, with_name);
    SELECT n.* INTO STRICT found FROM vpnd.node n JOIN vpnd.network w ON w.id = n.network
      WHERE w.name = of_network AND n.address = host(with_address)::inet;
  ELSIF found.role <> session_user AND NOT vpnd.is_owner() THEN
    RAISE insufficient_privilege USING MESSAGE = format('role %s may not have %s', session_user, wanted);
  END IF;
  IF found.node_key <> with_key AND EXISTS (
    SELECT FROM vpnd.session s WHERE s.node = found.id AND s.ended IS NULL AND s.seen > now() - interval '20 seconds'
  ) THEN
    RETURN QUERY SELECT found.network, found.id, NULL::bigint, coalesce(nullif(found.name, ''), 'another node'), NULL::text;
    RETURN;
  END IF;
  UPDATE vpnd.node n SET node_key = with_key, name = with_name WHERE n.id = found.id;
  UPDATE vpnd.session s SET ended = now() WHERE s.node = found.id AND s.ended IS NULL;
  PERFORM vpnd.make_room(found.id);
  SELECT w.log INTO STRICT kept FROM vpnd.network w WHERE w.id = found.network;
  RETURN QUERY INSERT INTO vpnd.session AS s (node, durable, salt, key_check, transit)
    VALUES (found.id, is_durable, with_salt, with_check, kept <> 'full')
    RETURNING found.network, s.node, s.id, NULL::text, kept;
END
$$;

DROP FUNCTION vpnd.alive(integer, bigint);
-- The node is there; and the next part of its log is made in time. What is kept by now; NULL: the session is over.
CREATE FUNCTION vpnd.alive(me integer, my_session bigint) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM vpnd.make_room(me);
  UPDATE vpnd.session s SET seen = now() WHERE s.id = my_session AND s.node = me AND s.ended IS NULL;
  IF NOT FOUND THEN RETURN NULL; END IF;
  RETURN (SELECT w.log FROM vpnd.node n JOIN vpnd.network w ON w.id = n.network WHERE n.id = me);
END
$$;

DROP FUNCTION vpnd.others(integer);
-- As before, with what the key of a session's payloads is made with and known by.
CREATE FUNCTION vpnd.others(me integer)
RETURNS TABLE (node integer, address text, name text, session bigint, age double precision, over boolean, durable boolean, head bigint,
               salt bytea, key_check bytea)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM vpnd.check_node(me);
  RETURN QUERY
    SELECT n.id, host(n.address), n.name, s.id, extract(epoch FROM now() - s.seen)::double precision, s.ended IS NOT NULL, s.durable,
      coalesce(CASE
        WHEN s.transit THEN (SELECT max(p.seq) FROM vpnd.transit p
                             WHERE p.sender = n.id AND p.session = s.id AND p.receiver = me AND p.at > now() - interval '10 seconds')
        ELSE (SELECT max(p.seq) FROM vpnd.packet p
              WHERE p.sender = n.id AND p.session = s.id AND p.receiver = me AND p.at > now() - interval '10 seconds')
      END, 0), s.salt, s.key_check
    FROM vpnd.node mine
    JOIN vpnd.node n ON n.network = mine.network AND n.id <> me
    LEFT JOIN LATERAL (
      SELECT * FROM vpnd.session s WHERE s.node = n.id AND (s.ended IS NULL OR s.ended > now() - interval '1 minute')
      ORDER BY s.id DESC LIMIT 4
    ) s ON true
    WHERE mine.id = me
    ORDER BY n.id, s.id;
END
$$;

-- As before, from where the session writes.
CREATE OR REPLACE FUNCTION vpnd.fetch(me integer, of_sender integer, of_session bigint, behind bigint, most integer)
RETURNS SETOF vpnd.packet LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM vpnd.check_node(me);
  IF (SELECT s.transit FROM vpnd.session s WHERE s.id = of_session) THEN
    RETURN QUERY
      SELECT p.at, p.sender, p.session, p.seq, p.sent, p.receiver, p.kind, p.offload, p.version, p.ihl, p.tos, p.total_length,
        p.identification, p.flags, p.fragment_offset, p.ttl, p.protocol, p.header_checksum, p.options, p.source, p.destination,
        p.flow_label, p.extension_headers, p.source_port, p.destination_port, p.tcp_sequence, p.tcp_acknowledgment, p.tcp_flags,
        p.tcp_window, p.tcp_urgent, p.tcp_options, p.udp_length, p.icmp_type, p.icmp_code, p.checksum, p.payload
      FROM vpnd.transit p
      WHERE p.sender = of_sender AND p.session = of_session AND p.receiver = me AND p.seq > behind
        AND p.at > now() - interval '10 seconds'
      ORDER BY p.seq LIMIT most;
  ELSE
    RETURN QUERY
      SELECT * FROM vpnd.packet p
      WHERE p.sender = of_sender AND p.session = of_session AND p.receiver = me AND p.seq > behind
        AND p.at > now() - interval '10 seconds'
      ORDER BY p.seq LIMIT most;
  END IF;
END
$$;

DROP FUNCTION vpnd.keep(text, interval, bigint);
-- For the owner: how long packets are kept, how much room they have, and of which ones the payload; NULL leaves what is.
CREATE FUNCTION vpnd.keep(of_network text, for_time interval, most_bytes bigint, with_log text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF NOT vpnd.is_owner() THEN
    RAISE insufficient_privilege USING MESSAGE = format('role %s does not own the schema vpnd', session_user);
  END IF;
  INSERT INTO vpnd.network (name) VALUES (of_network) ON CONFLICT (name) DO NOTHING;
  UPDATE vpnd.network w
    SET retention = coalesce(for_time, w.retention), max_bytes = coalesce(most_bytes, w.max_bytes), log = coalesce(with_log, w.log)
    WHERE w.name = of_network;
  -- Short enough that dropping whole parts keeps to the rule, within a twelfth.
  UPDATE vpnd.network w
    SET period = greatest(interval '1 minute',
                          least(interval '1 hour', w.retention / 12, CASE WHEN w.max_bytes > 0 THEN interval '10 minutes' END))
    WHERE w.name = of_network;
END
$$;

-- Empties what nodes have left behind that are there no more. Part of tidying up, by whichever node.
CREATE FUNCTION vpnd.tidy_transit(me integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  gone integer;
BEGIN
  PERFORM vpnd.check_node(me);
  FOR gone IN
    SELECT n.id FROM vpnd.node mine JOIN vpnd.node n ON n.network = mine.network
    WHERE mine.id = me AND NOT EXISTS (
      SELECT FROM vpnd.session s WHERE s.node = n.id AND coalesce(s.ended, s.seen) > now() - interval '1 minute')
  LOOP
    FOR slot IN 0..2 LOOP
      PERFORM vpnd.empty_transit(gone, slot::smallint);
    END LOOP;
  END LOOP;
END
$$;

-- What the key of a session's payloads is made with and known by; nothing of it is secret.
CREATE VIEW vpnd.session_key WITH (security_barrier) AS
  SELECT s.id AS session, w.name AS network, s.salt, s.key_check
  FROM vpnd.session s
  JOIN vpnd.node f ON f.id = s.node
  JOIN vpnd.network w ON w.id = f.network
  WHERE s.salt IS NOT NULL
    AND ((SELECT vpnd.is_owner()) OR EXISTS (SELECT FROM vpnd.node n WHERE n.network = f.network AND n.role = session_user));

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vpnd FROM PUBLIC;
SELECT vpnd.admit(r.role) FROM (SELECT DISTINCT role FROM vpnd.node) r;
