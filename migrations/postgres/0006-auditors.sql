-- Roles that may read the whole log of a network, and write nothing (docs/packet-log.md, "Who sees what").

CREATE TABLE vpnd.auditor (
  network integer NOT NULL REFERENCES vpnd.network,
  role name NOT NULL,
  PRIMARY KEY (network, role)
);

-- The networks that whoever is logged in may read all of, without being the owner.
CREATE FUNCTION vpnd.audited() RETURNS integer[] LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT coalesce(array_agg(a.network), '{}') FROM vpnd.auditor a WHERE a.role = session_user
$$;

-- For the owner. A network that is missing is made.
CREATE FUNCTION vpnd.add_auditor(of_network text, as_role name) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF NOT vpnd.is_owner() THEN
    RAISE insufficient_privilege USING MESSAGE = format('role %s does not own the schema vpnd', session_user);
  END IF;
  INSERT INTO vpnd.network (name) VALUES (of_network) ON CONFLICT (name) DO NOTHING;
  INSERT INTO vpnd.auditor (network, role) SELECT w.id, as_role FROM vpnd.network w WHERE w.name = of_network ON CONFLICT DO NOTHING;
  PERFORM vpnd.admit(as_role);
END
$$;

-- For the owner. What the role may see as a node it still sees. False: it was none.
CREATE FUNCTION vpnd.remove_auditor(of_network text, as_role name) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
  IF NOT vpnd.is_owner() THEN
    RAISE insufficient_privilege USING MESSAGE = format('role %s does not own the schema vpnd', session_user);
  END IF;
  DELETE FROM vpnd.auditor a USING vpnd.network w WHERE w.id = a.network AND w.name = of_network AND a.role = as_role;
  RETURN FOUND;
END
$$;

CREATE OR REPLACE VIEW vpnd.log WITH (security_barrier) AS
  SELECT w.name AS network, f.name AS sender_name, t.name AS receiver_name, p.*
  FROM vpnd.packet p
  JOIN vpnd.node f ON f.id = p.sender
  JOIN vpnd.network w ON w.id = f.network
  LEFT JOIN vpnd.node t ON t.id = p.receiver
  WHERE p.kind <> 3 AND (f.role = session_user OR t.role = session_user OR (SELECT vpnd.is_owner())
    OR f.network = ANY ((SELECT vpnd.audited())::integer[]));

CREATE OR REPLACE VIEW vpnd.session_key WITH (security_barrier) AS
  SELECT s.id AS session, w.name AS network, s.salt, s.key_check
  FROM vpnd.session s
  JOIN vpnd.node f ON f.id = s.node
  JOIN vpnd.network w ON w.id = f.network
  WHERE s.salt IS NOT NULL
    AND ((SELECT vpnd.is_owner()) OR f.network = ANY ((SELECT vpnd.audited())::integer[])
      OR EXISTS (SELECT FROM vpnd.node n WHERE n.network = f.network AND n.role = session_user));

CREATE OR REPLACE FUNCTION vpnd.heads(of_network text)
RETURNS TABLE (sender integer, session bigint, receiver integer, head bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT f.id, s.id, t.id,
    CASE WHEN t.id IS NULL
      THEN (SELECT max(p.seq) FROM vpnd.packet p WHERE p.sender = f.id AND p.session = s.id AND p.receiver IS NULL)
      ELSE (SELECT max(p.seq) FROM vpnd.packet p WHERE p.sender = f.id AND p.session = s.id AND p.receiver = t.id)
    END
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
$$;

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vpnd FROM PUBLIC;
SELECT vpnd.admit(r.role) FROM (SELECT DISTINCT role FROM vpnd.node) r;
