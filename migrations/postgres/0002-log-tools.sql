-- What vpnctl log asks (docs/packet-log.md), for whoever may see it: the owner all, a node what it sent and got.

-- The last number of each stream of packets (of a session, for one receiver) that may still grow.
CREATE FUNCTION vpnd.heads(of_network text)
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
  WHERE w.name = of_network AND (f.role = session_user OR t.role = session_user OR vpnd.is_owner())
$$;
