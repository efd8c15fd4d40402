-- The packet log of vpnd (docs/postgres.md). Run by vpnd in one transaction, under an advisory lock, as the schema's owner.
-- Nodes are roles: what they may do they do by the functions here and by INSERT into their own part of the log.

CREATE SCHEMA vpnd;

CREATE TABLE vpnd.schema_version (
  version integer PRIMARY KEY,
  applied timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE vpnd.network (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,31}$'),
  created timestamptz NOT NULL DEFAULT now(),
  -- How long one part of the log is filled; whole parts are dropped.
  period interval NOT NULL DEFAULT '1 hour' CHECK (period BETWEEN '1 minute' AND '1 day'),
  -- NULL: for ever, without bound.
  retention interval,
  max_bytes bigint
);

CREATE TABLE vpnd.node (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  network integer NOT NULL REFERENCES vpnd.network,
  -- The virtual IP.
  address inet NOT NULL,
  name text NOT NULL DEFAULT '' CHECK (length(name) <= 63),
  -- Who may be this node.
  role name NOT NULL,
  -- Of the vpnd that was it last.
  node_key bytea,
  UNIQUE (network, address)
);

-- One writing connection of a node. Its packets are numbered, and become visible in that order.
CREATE TABLE vpnd.session (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  node integer NOT NULL REFERENCES vpnd.node,
  started timestamptz NOT NULL DEFAULT now(),
  seen timestamptz NOT NULL DEFAULT now(),
  ended timestamptz,
  -- Packets are durable before anybody sees them.
  durable boolean NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX session_node ON vpnd.session (node, id);

CREATE TABLE vpnd.packet (
  -- The server's time of the transaction.
  at timestamptz NOT NULL DEFAULT now(),
  sender integer NOT NULL,
  session bigint NOT NULL,
  seq bigint NOT NULL,
  -- The sender's time.
  sent timestamptz NOT NULL,
  -- NULL: no node of the network has the destination.
  receiver integer,
  -- 0: packet, 1: super-packet, 2: kept whole in payload, 3: between nodes, no packet
  kind smallint NOT NULL,
  -- How a super-packet is split: struct virtio_net_hdr.
  offload bytea CHECK (octet_length(offload) = 10),
  version smallint,
  ihl smallint,
  tos smallint,
  total_length integer,
  identification integer,
  flags smallint,
  fragment_offset smallint,
  ttl smallint,
  protocol smallint,
  header_checksum integer,
  options bytea CHECK (octet_length(options) <= 40),
  source inet,
  destination inet,
  flow_label integer,
  -- The number of the first one, then their bytes.
  extension_headers bytea CHECK (octet_length(extension_headers) <= 65536),
  source_port integer,
  destination_port integer,
  tcp_sequence bigint,
  tcp_acknowledgment bigint,
  tcp_flags smallint,
  tcp_window integer,
  tcp_urgent integer,
  tcp_options bytea CHECK (octet_length(tcp_options) <= 40),
  udp_length integer,
  icmp_type smallint,
  icmp_code smallint,
  checksum integer,
  -- Never squeezed: most of what travels does not shrink.
  payload bytea NOT NULL CHECK (octet_length(payload) <= 65536)
) PARTITION BY LIST (sender);
ALTER TABLE vpnd.packet ALTER payload SET STORAGE EXTERNAL;
CREATE INDEX packet_reader ON vpnd.packet (session, receiver, seq);

-- The parts of the log; `name` is a partition of `packet_NODE`.
CREATE TABLE vpnd.part (
  name name PRIMARY KEY,
  node integer NOT NULL REFERENCES vpnd.node,
  since timestamptz NOT NULL,
  until timestamptz NOT NULL,
  -- It is filled no more and has its indexes.
  closed boolean NOT NULL DEFAULT false
);
CREATE INDEX part_node ON vpnd.part (node, until);

-- Whether the caller is the owner of all this.
CREATE FUNCTION vpnd.is_owner() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT pg_has_role(session_user, current_user, 'MEMBER')
$$;

-- Refuses everybody but the node itself and the owner.
CREATE FUNCTION vpnd.check_node(me integer) RETURNS void LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF EXISTS (SELECT FROM vpnd.node n WHERE n.id = me AND n.role = session_user) OR vpnd.is_owner() THEN
    RETURN;
  END IF;
  RAISE insufficient_privilege USING MESSAGE = format('role %s is not node %s', session_user, me);
END
$$;

-- Makes the part of a node's log for now and the one after it, if they are missing.
CREATE FUNCTION vpnd.make_room(me integer) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  step interval;
  seconds double precision;
  since timestamptz;
  part text;
BEGIN
  PERFORM vpnd.check_node(me);
  SELECT w.period INTO STRICT step FROM vpnd.node n JOIN vpnd.network w ON w.id = n.network WHERE n.id = me;
  seconds := extract(epoch FROM step);
  IF (SELECT count(*) >= 2 FROM vpnd.part p WHERE p.node = me AND p.until > now()) THEN
    RETURN;
  END IF;
  PERFORM pg_advisory_xact_lock(1986031204, me);
  WHILE (SELECT count(*) < 2 FROM vpnd.part p WHERE p.node = me AND p.until > now()) LOOP
    SELECT max(p.until) INTO since FROM vpnd.part p WHERE p.node = me AND p.until > now();
    since := coalesce(since, to_timestamp(floor(extract(epoch FROM now()) / seconds) * seconds));
    part := format('packet_%s_%s', me, to_char(since AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISS'));
    EXECUTE format('CREATE TABLE vpnd.%I (LIKE vpnd.packet INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)', part);
    -- Rows of up to a page stay in one piece.
    EXECUTE format('ALTER TABLE vpnd.%I SET (toast_tuple_target = 8160)', part);
    EXECUTE format('ALTER TABLE vpnd.packet_%s ATTACH PARTITION vpnd.%I FOR VALUES FROM (%L) TO (%L)',
                   me, part, since, since + step);
    INSERT INTO vpnd.part (name, node, since, until) VALUES (part, me, since, since + step);
  END LOOP;
END
$$;

-- For the owner: lets a role be a node of a network, which is made if it is missing.
CREATE FUNCTION vpnd.add_member(of_network text, as_role name, with_address inet, with_name text DEFAULT '') RETURNS integer
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
  IF NOT pg_has_role(as_role, current_user, 'MEMBER') THEN
    EXECUTE format('GRANT USAGE ON SCHEMA vpnd TO %I', as_role);
    EXECUTE format('GRANT INSERT ON vpnd.packet_%s TO %I', me, as_role);
    EXECUTE format('GRANT SELECT ON vpnd.schema_version, vpnd.log TO %I', as_role);
    EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vpnd TO %I', as_role);
  END IF;
  RETURN me;
END
$$;

-- A node's connection begins to write. An owner's own node is made if it is missing; a member's is not.
-- `holder` is the name of a living node that has the address with another key; then there is no session.
CREATE FUNCTION vpnd.open_session(of_network text, with_address inet, with_name text, with_key bytea, is_durable boolean)
RETURNS TABLE (network integer, node integer, session bigint, holder text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
  found vpnd.node;
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
    RETURN QUERY SELECT found.network, found.id, NULL::bigint, coalesce(nullif(found.name, ''), 'another node');
    RETURN;
  END IF;
  UPDATE vpnd.node n SET node_key = with_key, name = with_name WHERE n.id = found.id;
  UPDATE vpnd.session s SET ended = now() WHERE s.node = found.id AND s.ended IS NULL;
  PERFORM vpnd.make_room(found.id);
  RETURN QUERY INSERT INTO vpnd.session AS s (node, durable) VALUES (found.id, is_durable)
    RETURNING found.network, s.node, s.id, NULL::text;
END
$$;

-- The node is there; and the next part of its log is made in time.
CREATE FUNCTION vpnd.alive(me integer, my_session bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM vpnd.make_room(me);
  UPDATE vpnd.session s SET seen = now() WHERE s.id = my_session AND s.node = me AND s.ended IS NULL;
  RETURN FOUND;
END
$$;

CREATE FUNCTION vpnd.close_session(me integer, my_session bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM vpnd.check_node(me);
  UPDATE vpnd.session s SET ended = now() WHERE s.id = my_session AND s.node = me AND s.ended IS NULL;
END
$$;

-- The other nodes of the network, with the sessions that may still hold something for `me`; ages are seconds.
-- `head` is the number of the session's last packet for `me`: who begins to read begins behind it.
CREATE FUNCTION vpnd.others(me integer)
RETURNS TABLE (node integer, address text, name text, session bigint, age double precision, over boolean, durable boolean, head bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM vpnd.check_node(me);
  RETURN QUERY
    SELECT n.id, host(n.address), n.name, s.id, extract(epoch FROM now() - s.seen)::double precision, s.ended IS NOT NULL, s.durable,
      coalesce((SELECT max(p.seq) FROM vpnd.packet p
                WHERE p.sender = n.id AND p.session = s.id AND p.receiver = me AND p.at > now() - interval '10 seconds'), 0)
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

-- Packets for `me` behind a number of a session, the oldest first. Nothing that is older than 10 s: it would be stale.
CREATE FUNCTION vpnd.fetch(me integer, of_sender integer, of_session bigint, behind bigint, most integer)
RETURNS SETOF vpnd.packet LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  PERFORM vpnd.check_node(me);
  RETURN QUERY
    SELECT * FROM vpnd.packet p
    WHERE p.sender = of_sender AND p.session = of_session AND p.receiver = me AND p.seq > behind
      AND p.at > now() - interval '10 seconds'
    ORDER BY p.seq LIMIT most;
END
$$;

-- For the owner: how long packets are kept, and how much room they have; NULL leaves what is.
CREATE FUNCTION vpnd.keep(of_network text, for_time interval, most_bytes bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF NOT vpnd.is_owner() THEN
    RAISE insufficient_privilege USING MESSAGE = format('role %s does not own the schema vpnd', session_user);
  END IF;
  UPDATE vpnd.network w SET retention = coalesce(for_time, w.retention), max_bytes = coalesce(most_bytes, w.max_bytes)
    WHERE w.name = of_network;
  -- Short enough that dropping whole parts keeps to the rule, within a twelfth.
  UPDATE vpnd.network w
    SET period = greatest(interval '1 minute',
                          least(interval '1 hour', w.retention / 12, CASE WHEN w.max_bytes > 0 THEN interval '10 minutes' END))
    WHERE w.name = of_network;
END
$$;

-- Closes parts that are over (indexes for questions), and drops those that retention or size leave no room for.
CREATE FUNCTION vpnd.tidy(me integer) RETURNS integer
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
    CONTINUE WHEN one.until > now();
    BEGIN
      EXECUTE format('SELECT NOT EXISTS (SELECT FROM vpnd.%I)', one.name) INTO is_empty;
      IF is_empty OR one.until < now() - rule.retention OR total > rule.max_bytes THEN
        EXECUTE format('DROP TABLE vpnd.%I', one.name);
        DELETE FROM vpnd.part p WHERE p.name = one.name;
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

-- The log for people: a row for each row of the log that its reader may see: the owner all, a node what it sent and got.
CREATE VIEW vpnd.log WITH (security_barrier) AS
  SELECT w.name AS network, f.name AS sender_name, t.name AS receiver_name, p.*
  FROM vpnd.packet p
  JOIN vpnd.node f ON f.id = p.sender
  JOIN vpnd.network w ON w.id = f.network
  LEFT JOIN vpnd.node t ON t.id = p.receiver
  WHERE p.kind <> 3 AND (f.role = session_user OR t.role = session_user OR (SELECT vpnd.is_owner()));

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vpnd FROM PUBLIC;
