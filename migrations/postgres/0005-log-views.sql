-- What the log says in sum, for whoever asks by SQL: as `vpnctl log query --view` does, with its statements (log/views.ts, which a test
-- holds against these). Each shows what its reader may see in vpnd.log.

CREATE VIEW vpnd.talkers AS
SELECT network, address, max(node) AS node,
  coalesce(sum(packets) FILTER (WHERE sends), 0) AS sent_packets, coalesce(sum(bytes) FILTER (WHERE sends), 0) AS sent_bytes,
  coalesce(sum(packets) FILTER (WHERE NOT sends), 0) AS received_packets,
  coalesce(sum(bytes) FILTER (WHERE NOT sends), 0) AS received_bytes,
  count(DISTINCT peer) AS peers, min(at) AS first, max(at) AS last
FROM (
  SELECT network, at, source, destination, sender_name, receiver_name,
    total_length AS bytes,
    CASE WHEN offload IS NULL THEN 1 ELSE greatest(1, ceil(
      (total_length - CASE version WHEN 4 THEN ihl * 4 ELSE 39 + coalesce(octet_length(extension_headers), 1) END
        - CASE protocol WHEN 6 THEN 20 + coalesce(octet_length(tcp_options), 0) ELSE 8 END)::numeric
      / nullif(get_byte(offload, 4) + 256 * get_byte(offload, 5), 0)))
    END::bigint AS packets
  FROM vpnd.log log WHERE version IS NOT NULL
) packet
CROSS JOIN LATERAL (VALUES
  (source, destination, sender_name, true),
  (destination, source, receiver_name, false)
) side (address, peer, node, sends)
GROUP BY network, address;

CREATE VIEW vpnd.conversations AS
SELECT network, protocol,
  CASE WHEN onward THEN low ELSE high END AS source, CASE WHEN onward THEN low_port ELSE high_port END AS source_port,
  CASE WHEN onward THEN high ELSE low END AS destination, CASE WHEN onward THEN high_port ELSE low_port END AS destination_port,
  CASE WHEN onward THEN low_packets ELSE high_packets END AS sent_packets,
  CASE WHEN onward THEN low_bytes ELSE high_bytes END AS sent_bytes,
  CASE WHEN onward THEN high_packets ELSE low_packets END AS returned_packets,
  CASE WHEN onward THEN high_bytes ELSE low_bytes END AS returned_bytes,
  first, last
FROM (
  SELECT network, protocol, low, low_port, high, high_port,
    coalesce(min(at) FILTER (WHERE forward) <= min(at) FILTER (WHERE NOT forward), bool_or(forward)) AS onward,
    coalesce(sum(packets) FILTER (WHERE forward), 0) AS low_packets, coalesce(sum(bytes) FILTER (WHERE forward), 0) AS low_bytes,
    coalesce(sum(packets) FILTER (WHERE NOT forward), 0) AS high_packets, coalesce(sum(bytes) FILTER (WHERE NOT forward), 0) AS high_bytes,
    min(at) AS first, max(at) AS last
  FROM (
    SELECT *,
      CASE WHEN forward THEN source ELSE destination END AS low, CASE WHEN forward THEN source_port ELSE destination_port END AS low_port,
      CASE WHEN forward THEN destination ELSE source END AS high, CASE WHEN forward THEN destination_port ELSE source_port END AS high_port
    FROM (
      SELECT network, protocol, at, source, source_port, destination, destination_port,
        (source, coalesce(source_port, 0)) <= (destination, coalesce(destination_port, 0)) AS forward,
    total_length AS bytes,
    CASE WHEN offload IS NULL THEN 1 ELSE greatest(1, ceil(
      (total_length - CASE version WHEN 4 THEN ihl * 4 ELSE 39 + coalesce(octet_length(extension_headers), 1) END
        - CASE protocol WHEN 6 THEN 20 + coalesce(octet_length(tcp_options), 0) ELSE 8 END)::numeric
      / nullif(get_byte(offload, 4) + 256 * get_byte(offload, 5), 0)))
    END::bigint AS packets
      FROM vpnd.log log WHERE version IS NOT NULL
    ) packet
  ) sided
  GROUP BY network, protocol, low, low_port, high, high_port
) conversation;

CREATE VIEW vpnd.connections AS
SELECT network,
  CASE WHEN onward THEN low ELSE high END AS source, CASE WHEN onward THEN low_port ELSE high_port END AS source_port,
  CASE WHEN onward THEN high ELSE low END AS destination, CASE WHEN onward THEN high_port ELSE low_port END AS destination_port,
  CASE WHEN reset THEN 'reset' WHEN low_ends AND high_ends THEN 'closed' WHEN low_ends OR high_ends THEN 'closing'
    WHEN opened IS NOT NULL AND NOT answered THEN 'unanswered' ELSE 'open' END AS state,
  opened, CASE WHEN reset OR (low_ends AND high_ends) THEN ended END AS closed, packets, bytes, last
FROM (
  SELECT network, low, low_port, high, high_port, turn,
    coalesce(bool_or(forward) FILTER (WHERE opens),
             min(at) FILTER (WHERE forward) <= min(at) FILTER (WHERE NOT forward), bool_or(forward)) AS onward,
    min(at) FILTER (WHERE opens) AS opened, bool_or(tcp_flags & 18 = 18) AS answered, bool_or(tcp_flags & 4 <> 0) AS reset,
    bool_or(tcp_flags & 1 <> 0 AND forward) AS low_ends, bool_or(tcp_flags & 1 <> 0 AND NOT forward) AS high_ends,
    max(at) FILTER (WHERE tcp_flags & 5 <> 0) AS ended, sum(packets) AS packets, sum(bytes) AS bytes, max(at) AS last
  FROM (
    SELECT *, count(*) FILTER (WHERE opens AND tcp_sequence IS DISTINCT FROM opened_before) OVER (
      PARTITION BY network, low, low_port, high, high_port ORDER BY at, session, seq) AS turn
    FROM (
      SELECT *, lag(tcp_sequence) OVER (
        PARTITION BY network, low, low_port, high, high_port, opens ORDER BY at, session, seq) AS opened_before
      FROM (
        SELECT *,
          CASE WHEN forward THEN source ELSE destination END AS low, CASE WHEN forward THEN source_port ELSE destination_port END AS low_port,
          CASE WHEN forward THEN destination ELSE source END AS high, CASE WHEN forward THEN destination_port ELSE source_port END AS high_port
        FROM (
          SELECT network, at, session, seq, source, source_port, destination, destination_port, tcp_flags, tcp_sequence,
            (source, source_port) <= (destination, destination_port) AS forward, tcp_flags & 18 = 2 AS opens,
    total_length AS bytes,
    CASE WHEN offload IS NULL THEN 1 ELSE greatest(1, ceil(
      (total_length - CASE version WHEN 4 THEN ihl * 4 ELSE 39 + coalesce(octet_length(extension_headers), 1) END
        - CASE protocol WHEN 6 THEN 20 + coalesce(octet_length(tcp_options), 0) ELSE 8 END)::numeric
      / nullif(get_byte(offload, 4) + 256 * get_byte(offload, 5), 0)))
    END::bigint AS packets
          FROM vpnd.log log WHERE protocol = 6 AND tcp_flags IS NOT NULL
        ) packet
      ) sided
    ) opening
  ) turned
  GROUP BY network, low, low_port, high, high_port, turn
) connection;

-- For the owner: drops the parts of a network's log that were over by then, or tells of them. A part that somebody reads for long stays.
CREATE FUNCTION vpnd.prune(of_network text, before timestamptz, only_tell boolean)
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
        EXECUTE format('DROP TABLE vpnd.%I', one.name);
        DELETE FROM vpnd.part p WHERE p.name = one.name;
      EXCEPTION WHEN lock_not_available THEN
        dropped := false;
      END;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;

REVOKE ALL ON FUNCTION vpnd.prune FROM PUBLIC;
SELECT vpnd.admit(r.role) FROM (SELECT DISTINCT role FROM vpnd.node) r;
